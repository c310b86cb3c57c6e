// SPDX-License-Identifier: Apache-2.0
import { defineScript, type RedisClient, runPipeline } from "#lib/redis.ts";
import { indexKeys, ROUTE_VERSION, routeKey, userOfIndexMember } from "./keys.ts";
import type { PurgeCount } from "./router.ts";

const purge = defineScript(new URL("lua/purge.lua", import.meta.url), 1);

const SCAN_COUNT = 500;

/**
 * Walks the reverse index of a dead incarnation and compare-deletes the routes it names, 500 per round trip.
 * An index entry goes only after its route went, so an interrupted purge can be repeated.
 */
export async function purgeIncarnation(redis: RedisClient, incarnation: string): Promise<PurgeCount> {
  let deleted = 0;
  for (const shard of indexKeys(incarnation)) {
    let cursor = "0";
    do {
      const [page] = await runPipeline(redis, [["SSCAN", shard, cursor, "COUNT", SCAN_COUNT]]);
      if (page instanceof Error) throw page;
      const [next, members] = page as [string, string[]];
      deleted += await purgeRoutes(redis, incarnation, shard, members);
      cursor = next;
    } while (cursor !== "0");
  }
  const left = await runPipeline(
    redis,
    indexKeys(incarnation).map((shard) => ["SCARD", shard] as const),
  );
  const failed = left.find((count) => count instanceof Error);
  if (failed) throw failed;
  return { deleted, remaining: left.reduce<number>((sum, count) => sum + Number(count), 0) };
}

async function purgeRoutes(redis: RedisClient, incarnation: string, shard: string, members: string[]): Promise<number> {
  if (members.length === 0) return 0;
  const replies = await runPipeline(
    redis,
    members.map((member) => ({
      script: purge,
      args: [routeKey(userOfIndexMember(member)), `${incarnation};`, ROUTE_VERSION],
    })),
  );
  const done = members.filter((_, at) => typeof replies[at] === "number");
  if (done.length > 0) await runPipeline(redis, [["SREM", shard, ...done]]);
  return replies.reduce<number>((sum, reply) => sum + (typeof reply === "number" ? reply : 0), 0);
}
