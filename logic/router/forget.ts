// SPDX-License-Identifier: Apache-2.0
import { type RedisClient, runPipeline } from "#lib/redis.ts";
import { indexKey, userOfIndexMember } from "./keys.ts";
import type { SessionKey } from "./router.ts";

const SCAN_COUNT = 500;

/** Whose the connections of an incarnation were, by its reverse index; those without a route are left out. */
export async function findSessions(
  redis: RedisClient,
  incarnation: string,
  conns: ReadonlySet<number>,
): Promise<SessionKey[]> {
  const found: SessionKey[] = [];
  for (const shard of new Set([...conns].map((conn) => indexKey(incarnation, conn)))) {
    let cursor = "0";
    do {
      const [page] = await runPipeline(redis, [["SSCAN", shard, cursor, "COUNT", SCAN_COUNT]]);
      if (page instanceof Error) throw page;
      const [next, members] = page as [string, string[]];
      for (const member of members) {
        const conn = Number.parseInt(member, 10);
        if (conns.has(conn)) found.push({ userId: userOfIndexMember(member), incarnation, conn });
      }
      cursor = next;
    } while (cursor !== "0");
  }
  return found;
}
