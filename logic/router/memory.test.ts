// SPDX-License-Identifier: Apache-2.0
import { FakeClock } from "#lib/clock.ts";
import { MemoryRouter } from "./memory.ts";
import { routerContract } from "./router.contract.ts";

routerContract("memory", async () => {
  const clock = new FakeClock();
  const router = new MemoryRouter(clock, 15_000);
  return {
    router,
    lapseLeases: async () => clock.advance(15_001),
    flush: async () => router.flush(),
  };
});
