// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ackWaitMs, MAX_ACK_WAIT_MS, MIN_ACK_WAIT_MS } from "./ack-wait.ts";

describe("ackWaitMs", () => {
  it("is the default while nothing is known, and shorter or longer by four round trips", () => {
    const waits = [0, 10, 100, 300, 500, 1000, 2000, 3000, 3001, 10_000].map((roundTripMs) =>
      ackWaitMs(5000, roundTripMs),
    );
    assert.deepEqual(waits, [5000, 3040, 3400, 4200, 5000, 7000, 11_000, 15_000, 15_000, 15_000]);
    assert.equal(ackWaitMs(3000, 100), 3000);
    assert.equal(ackWaitMs(15_000, 100), 13_400);
  });

  it("never leaves its bounds, and a longer way never means a shorter wait", () => {
    const anyDefault = fc.integer({ min: MIN_ACK_WAIT_MS, max: MAX_ACK_WAIT_MS });
    fc.assert(
      fc.property(
        anyDefault,
        fc.integer({ min: 1, max: 10_000 }),
        fc.integer({ min: 1, max: 10_000 }),
        (byDefault, one, other) => {
          const [near, far] = [ackWaitMs(byDefault, Math.min(one, other)), ackWaitMs(byDefault, Math.max(one, other))];
          assert.ok(near >= MIN_ACK_WAIT_MS && near <= far && far <= MAX_ACK_WAIT_MS);
        },
      ),
    );
  });
});
