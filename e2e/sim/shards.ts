// SPDX-License-Identifier: Apache-2.0
import type { AckWheel, ShardState } from "../../logic/deliver/ack-wheel.ts";
import { shardOf } from "../../logic/push/shard.ts";

/** Shards in which one of these users is. */
export function shardsOf(users: readonly string[]): number[] {
  return [...new Set(users.map(shardOf))].sort((a, b) => a - b);
}

const NOTHING: ShardState = { fired: [], pending: 0, lagMs: 0, nextInMs: undefined };

/** A wheel that is not asked about shards in which nobody is: a run has few users, and these looks would be most of it. */
export function askOnly(wheel: AckWheel, shards: readonly number[]): AckWheel {
  return {
    update: (settled, armed) => wheel.update(settled, armed),
    fire: async (wanted) => {
      const asked = shards.filter((shard) => wanted.includes(shard));
      const states: ShardState[] = wanted.map(() => NOTHING);
      if (asked.length > 0)
        for (const [at, state] of (await wheel.fire(asked)).entries()) states[wanted.indexOf(asked[at] ?? -1)] = state;
      return states;
    },
  };
}
