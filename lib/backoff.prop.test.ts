// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Backoff } from "./backoff.ts";

const unit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe("Backoff", () => {
  it("draws each delay from [0, min(cap, base * 2^attempt))", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.integer({ min: 1, max: 60_000 }),
        fc.array(unit),
        (base, cap, draws) => {
          let attempt = 0;
          const backoff = new Backoff({ baseMs: base, capMs: cap, random: () => draws[attempt] ?? 0 });
          for (const draw of draws) {
            const ceiling = Math.min(cap, base * 2 ** Math.min(attempt, 30));
            assert.equal(backoff.next(), draw * ceiling);
            attempt++;
          }
        },
      ),
    );
  });

  it("starts again after a reset", () => {
    const backoff = new Backoff({ baseMs: 100, capMs: 10_000, random: () => 0.5 });
    assert.deepEqual([backoff.next(), backoff.next(), backoff.next()], [50, 100, 200]);
    backoff.reset();
    assert.equal(backoff.next(), 50);
  });

  it("stays finite after any number of attempts", () => {
    const backoff = new Backoff({ baseMs: 500, capMs: 20_000 });
    for (let i = 0; i < 2000; i++) assert.ok(backoff.next() < 20_000);
  });
});
