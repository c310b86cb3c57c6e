// SPDX-License-Identifier: Apache-2.0
import { inTurns } from "#lib/in-turns.ts";
import { defineScript, type RedisClient, runPipeline } from "#lib/redis.ts";
import { indexKeys, ROUTE_VERSION, routeKey, userOfIndexMember } from "./keys.ts";
import type { PurgeCount } from "./router.ts";

const purge = defineScript(new URL("lua/purge.lua", import.meta.url), 1);

const SCAN_COUNT = 500;
/** Shards walked side by side: while one waits for Redis, another keeps this process busy. */
const LANES = 4;

/**
 * Walks the reverse index of a dead incarnation and compare-deletes the routes it names, 500 per round trip.
 * An index entry goes only after its route went, so an interrupted purge can be repeated.
 */
export async function purgeIncarnation(redis: RedisClient, incarnation: string): Promise<PurgeCount> {
  const shards = indexKeys(incarnation);
  const deleted = await inTurns(shards, LANES, (shard) => purgeShard(redis, incarnation, shard));
  const left = await runPipeline(
    redis,
    shards.map((shard) => ["SCARD", shard] as const),
  );
  const failed = left.find((count) => count instanceof Error);
  if (failed) throw failed;
  return {
    deleted: deleted.reduce((sum, count) => sum + count, 0),
    remaining: left.reduce<number>((sum, count) => sum + Number(count), 0),
  };
}

async function purgeShard(redis: RedisClient, incarnation: string, shard: string): Promise<number> {
  let deleted = 0;
  let done: string[] = [];
  let cursor = "0";
  do {
    const scan = ["SSCAN", shard, cursor, "COUNT", SCAN_COUNT] as const;
    // The last page leaves the index on the way to the next: members present all the time are scanned all the same.
    const replies = await runPipeline(redis, done.length > 0 ? [["SREM", shard, ...done], scan] : [scan]);
    const page = replies.at(-1);
    if (page instanceof Error) throw page;
    const [next, members] = page as [string, string[]];
    const purged = await purgeRoutes(redis, incarnation, members);
    deleted += purged.deleted;
    done = purged.done;
    cursor = next;
  } while (cursor !== "0");
  if (done.length > 0) await runPipeline(redis, [["SREM", shard, ...done]]);
  return deleted;
}

/** `done`: members whose route was looked at. */
async function purgeRoutes(
  redis: RedisClient,
  incarnation: string,
  members: readonly string[],
): Promise<{ deleted: number; done: string[] }> {
  if (members.length === 0) return { deleted: 0, done: [] };
  const prefix = `${incarnation};`;
  const replies = await runPipeline(
    redis,
    members.map((member) => ({ script: purge, args: [routeKey(userOfIndexMember(member)), prefix, ROUTE_VERSION] })),
  );
  const done = members.filter((_, at) => typeof replies[at] === "number");
  return { deleted: replies.reduce<number>((sum, reply) => sum + (typeof reply === "number" ? reply : 0), 0), done };
}
