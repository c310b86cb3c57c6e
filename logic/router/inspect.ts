// SPDX-License-Identifier: Apache-2.0
import { type RedisClient, runPipeline } from "#lib/redis.ts";
import { indexKeys, leaseKey } from "./keys.ts";
import type { Inspection } from "./router.ts";

/**
 * Sizes of the reverse indexes and leases of incarnations: two commands for one of which nothing is left, 18 otherwise.
 *
 * @throws {ImError} RETRYABLE when a part of the router does not answer
 */
export async function inspectIncarnations(redis: RedisClient, incarnations: readonly string[]): Promise<Inspection[]> {
  const seen = await numbers(redis, [
    ...incarnations.map((incarnation) => ["EXISTS", ...indexKeys(incarnation)] as const),
    ...incarnations.map((incarnation) => ["EXISTS", leaseKey(incarnation)] as const),
  ]);
  const indexed = incarnations.filter((_, at) => seen[at] !== 0);
  const sizes = await numbers(
    redis,
    indexed.flatMap((incarnation) => indexKeys(incarnation).map((shard) => ["SCARD", shard] as const)),
  );
  const shards = sizes.length / Math.max(1, indexed.length);
  const routes = new Map(
    indexed.map((incarnation, at) => [incarnation, sum(sizes.slice(at * shards, (at + 1) * shards))]),
  );
  return incarnations.map((incarnation, at) => ({
    routes: routes.get(incarnation) ?? 0,
    isLeased: seen[incarnations.length + at] === 1,
  }));
}

async function numbers(redis: RedisClient, commands: readonly (readonly [string, ...string[]])[]): Promise<number[]> {
  if (commands.length === 0) return [];
  const replies = await runPipeline(redis, commands);
  const failed = replies.find((reply) => reply instanceof Error);
  if (failed) throw failed;
  return replies.map(Number);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
