// SPDX-License-Identifier: Apache-2.0
// What tests of pushes look at beside what the providers were told.
import pg from "pg";
import { shardOf, wheelKey } from "../../logic/push/shard.ts";
import type { Fleet } from "../harness/fleet.ts";
import { waitUntil } from "../harness/processes.ts";
import type { RedisServer } from "../harness/redis.ts";

/** Above the age at which the reconciler looks at a message, its period, and another one of each for a repetition. */
const SETTLE_TIMEOUT_MS = 60_000;

/** Sums a number of each shard. */
async function sumOf(redis: RedisServer, perShard: string): Promise<number> {
  const loop = `local n = 0 for i = 0, 63 do local tag = string.format('{w:%02d}', i) n = n + ${perShard} end return n`;
  const reply = await redis.command(`EVAL "${loop}" 0`);
  if (!reply.startsWith(":")) throw new Error(`Redis answered ${reply}`);
  return Number(reply.slice(1));
}

/** Resolves when the ack wheel waits for the phone of each of these users, or has done with it: `isOver`. */
export async function waitArmed(
  { redis }: Fleet,
  users: readonly string[],
  isOver: (user: string) => boolean,
): Promise<void> {
  for (const user of users) {
    const score = `ZSCORE ${wheelKey(shardOf(user))} mobile/${user}`;
    const isArmed = async (): Promise<boolean> => isOver(user) || (await redis.command(score)) !== "$-1";
    await waitUntil(`the wheel waits for ${user}`, isArmed);
  }
}

/**
 * Resolves when no way can push any more for what was sent so far: nobody is waited for, no intent is queued, the
 * reconciler has looked at every message, and no step is left. Steps of users who were not asked for count, too.
 */
export async function waitPushesOver({ redis, postgresUrl }: Fleet): Promise<void> {
  const db = new pg.Client({ connectionString: postgresUrl });
  await db.connect();
  try {
    const isOver = async (): Promise<boolean> => {
      const queued = "redis.call('ZCARD', tag .. ':wheel') + redis.call('XLEN', tag .. ':intents')";
      if ((await sumOf(redis, queued)) > 0) return false;
      const tables = ["push_outbox", "push_owed", "push_step"].map((name) => `(SELECT count(*) FROM ${name})`);
      const { rows } = await db.query<{ left: string }>(`SELECT ${tables.join(" + ")} AS left`);
      return rows[0]?.left === "0";
    };
    await waitUntil("all pushes are over", isOver, SETTLE_TIMEOUT_MS);
  } finally {
    await db.end();
  }
}
