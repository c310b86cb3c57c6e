// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FakeClock } from "./clock.ts";
import { TokenBucket } from "./token-bucket.ts";

describe("TokenBucket", () => {
  it("never grants more than burst + rate * time, in any interval", () => {
    const step = fc.record({ waitMs: fc.nat(2000), takes: fc.nat(20) }, { noNullPrototype: true });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.integer({ min: 1, max: 50 }),
        fc.array(step),
        (rate, burst, steps) => {
          const clock = new FakeClock();
          const bucket = new TokenBucket(rate, burst, clock);
          let granted = 0;
          for (const { waitMs, takes } of steps) {
            clock.advance(waitMs);
            for (let i = 0; i < takes; i++) if (bucket.take()) granted++;
            assert.ok(granted <= burst + (rate * clock.nowMs()) / 1000 + 1e-6);
          }
        },
      ),
    );
  });

  it("after waiting as advised, the tokens are there", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.integer({ min: 1, max: 50 }),
        fc.nat(60),
        (rate, burst, count) => {
          const clock = new FakeClock();
          const bucket = new TokenBucket(rate, burst, clock);
          while (bucket.take());
          const adviceMs = bucket.retryAfterMs(count);
          assert.equal(Number.isFinite(adviceMs), count <= burst);
          if (!Number.isFinite(adviceMs)) return;
          clock.advance(adviceMs + 1);
          assert.equal(bucket.take(count), true);
        },
      ),
    );
  });

  it("takes nothing when it refuses", () => {
    const bucket = new TokenBucket(1, 3, new FakeClock());
    assert.equal(bucket.take(4), false);
    assert.equal(bucket.take(3), true);
    assert.equal(bucket.retryAfterMs(0), 0);
  });
});
