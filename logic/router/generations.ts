// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from "node:crypto";
import { type RedisClient, type RedisMaster, runOnMasters } from "#lib/redis.ts";
import { generationKey } from "./keys.ts";
import type { Generation } from "./router.ts";

/** Candidates tried for a master; with one slot in 16,384 nobody needs so many. */
const MAX_TURNS = 200_000;

/**
 * Names the memory of each master by a random value under a key of its own slots, which catches FLUSHALL and an empty
 * restart, and by its run_id, which catches a restart from an old dump and a failover that may have lost writes.
 */
export class Generations {
  readonly #redis: RedisClient;
  /** By address of the master; kept while the key stays there, so that slots on the move are no loss. */
  readonly #turns = new Map<string, number>();

  constructor(redis: RedisClient) {
    this.#redis = redis;
  }

  /** @throws {ImError} RETRYABLE when one master does not answer */
  async read(): Promise<Generation> {
    const parts = await runOnMasters(this.#redis, (master) => {
      const key = this.#keyOf(master);
      return [
        ["SET", key, randomUUID(), "NX"],
        ["GET", key],
        ["INFO", "server"],
      ];
    });
    const ids: string[] = [];
    let isNew = false;
    for (const { master, replies } of parts) {
      const [made, value, info] = replies;
      // Its slot has just moved away: the next look knows better.
      if (value instanceof Error) throw value;
      isNew ||= made === "OK";
      ids.push(`${master.address}/${String(value)}/${/run_id:(\w+)/.exec(String(info))?.[1] ?? ""}`);
    }
    return { id: ids.sort().join(" "), isNew };
  }

  #keyOf(master: RedisMaster): string {
    let turn = this.#turns.get(master.address) ?? 0;
    while (turn < MAX_TURNS && !master.owns(generationKey(turn))) turn++;
    this.#turns.set(master.address, turn);
    return generationKey(turn);
  }
}
