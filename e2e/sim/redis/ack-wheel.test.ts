// SPDX-License-Identifier: Apache-2.0
import { FakeClock } from "#lib/clock.ts";
import { ackWheelContract } from "../../../logic/deliver/ack-wheel.contract.ts";
import { RedisAckWheel } from "../../../logic/deliver/ack-wheel-redis.ts";
import type { PushIntent } from "../../../logic/deliver/offline.ts";
import { parseIntent } from "../../../logic/push/intent.ts";
import { intentStream, SHARDS } from "../../../logic/push/shard.ts";
import { redisClientOver } from "./direct.ts";
import { RedisServer } from "./server.ts";

ackWheelContract("Redis model", async () => {
  const clock = new FakeClock();
  const server = new RedisServer(() => clock.wallMs());
  return {
    wheel: new RedisAckWheel(redisClientOver(server)),
    elapse: async (ms) => clock.advance(ms),
    intents: async () =>
      Array.from({ length: SHARDS }, (_, shard) => server.keys.stream(intentStream(shard))?.entries ?? [])
        .flat()
        .flatMap(({ id, fields }): PushIntent[] => {
          const intent = parseIntent(id, fields);
          if (!intent) return [];
          const { id: _, ...rest } = intent;
          return [rest];
        })
        .sort((a, b) => (a.userId < b.userId ? -1 : Number(a.userId > b.userId))),
  };
});
