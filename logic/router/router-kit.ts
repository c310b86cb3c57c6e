// SPDX-License-Identifier: Apache-2.0
import { type RedisClient, runOnMasters, runPipeline } from "#lib/redis.ts";

/** For tests: all keys that match, on every master. */
export async function keysOf(client: RedisClient, pattern: string): Promise<string[]> {
  const found = await runOnMasters(client, () => [["KEYS", pattern]]);
  return found.flatMap(({ replies }) => replies[0] as string[]);
}

/** For tests: deletes them. */
export async function deleteKeys(client: RedisClient, keys: readonly string[]): Promise<void> {
  await runPipeline(
    client,
    keys.map((key) => ["DEL", key] as const),
  );
}
