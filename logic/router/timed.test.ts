// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { Metrics } from "#lib/metrics.ts";
import { MemoryRouter } from "./memory.ts";
import { routerContract } from "./router.contract.ts";
import { observeRouter, TimedRouter } from "./timed.ts";

routerContract("timed", async () => {
  const clock = new FakeClock();
  const router = new MemoryRouter(clock, 15_000);
  return {
    router: new TimedRouter(router, clock, () => undefined),
    lapseLeases: async () => clock.advance(15_001),
    flush: async () => router.flush(),
  };
});

describe("a timed router", () => {
  it("tells how long each call took, and which failed", async () => {
    const clock = new FakeClock();
    const metrics = new Metrics();
    const memory = new MemoryRouter(clock, 15_000);
    const router = new TimedRouter(memory, clock, observeRouter(metrics));
    const away = new ImError(ErrorCode.RETRYABLE, "redis is away");
    memory.fence = () => new Promise((_resolve, reject) => void clock.after(400, () => reject(away)));
    const fenced = router.fence("pod-a.1");
    const refused = assert.rejects(fenced, away);
    clock.advance(400);
    await refused;
    await router.lookup(["alice"]);
    const text = await metrics.render();
    const of = (op: string, result: string): string => `_bucket{le="0.1",op="${op}",result="${result}"}`;
    assert.ok(text.includes(`im_router_operation_duration_seconds${of("fence", "failed")} 0\n`));
    assert.match(text, /_sum\{op="fence",result="failed"\} 0\.4\n/);
    assert.ok(text.includes(`im_router_operation_duration_seconds${of("lookup", "ok")} 1\n`));
  });
});
