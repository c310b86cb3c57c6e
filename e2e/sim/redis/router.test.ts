// SPDX-License-Identifier: Apache-2.0
import { FakeClock } from "#lib/clock.ts";
import { RedisRouter } from "../../../logic/router/redis.ts";
import { routerContract } from "../../../logic/router/router.contract.ts";
import { redisClientOver } from "./direct.ts";
import { RedisServer } from "./server.ts";

// The model of Redis is as good as the suite that real Redis passes too.
routerContract("Redis model", async () => {
  const clock = new FakeClock();
  const server = new RedisServer(() => clock.wallMs());
  return {
    router: new RedisRouter(redisClientOver(server), { clock, liveCacheMs: 0 }),
    lapseLeases: async () => clock.advance(15_001),
    flush: async () => server.flush(),
  };
});
