// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { KeyedPaces } from "./keyed-paces.ts";
import { ReadLimit } from "./read-limit.ts";

const times = fc.array(fc.nat(500), { minLength: 1, maxLength: 200 });

describe("paces", () => {
  it("let through at most the burst and the rate, in any window, and never less than the rate", () => {
    fc.assert(
      fc.property(times, fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 20 }), (gaps, perSecond, burst) => {
        const paces = new KeyedPaces({ perSecond, burst });
        const taken: number[] = [];
        let nowMs = 1000;
        for (const gap of gaps) {
          nowMs += gap;
          const waitMs = paces.take("a", nowMs);
          if (waitMs === 0) taken.push(nowMs);
          else assert.equal(paces.waitMs("a", nowMs + waitMs), 0, "the advice is right");
        }
        for (let from = 0; from < taken.length; from++) {
          for (let to = from; to < taken.length; to++) {
            const windowMs = (taken[to] ?? 0) - (taken[from] ?? 0);
            assert.ok(to - from + 1 <= burst + (windowMs * perSecond) / 1000 + 1e-6);
          }
        }
      }),
    );
  });

  it("forget the key that was used least recently, and stay bounded", () => {
    const paces = new KeyedPaces({ perSecond: 1, burst: 1 }, 100);
    paces.take("first", 0);
    for (let i = 0; i < 1000; i++) paces.take(`k${i}`, 0);
    assert.equal(paces.size, 100);
    assert.ok(paces.waitMs("k999", 0) > 0);
    assert.equal(paces.waitMs("first", 0), 0);
  });
});

describe("read limit", () => {
  it("pauses when frames or bytes are over their burst, and says for how long", () => {
    const frames = new ReadLimit({ frames: { perSecond: 10, burst: 100 }, bytes: undefined });
    assert.equal(frames.took(100, 1e9, 0), 0);
    assert.equal(frames.took(10, 0, 0), 1000);
    assert.equal(frames.took(0, 0, 1000), 0);
    const bytes = new ReadLimit({ frames: undefined, bytes: { perSecond: 1000, burst: 5000 } });
    assert.equal(bytes.took(1e6, 5000, 0), 0);
    assert.equal(bytes.took(1, 1000, 0), 1000);
    const none = new ReadLimit({ frames: undefined, bytes: undefined });
    assert.equal(none.took(1e6, 1e9, 0), 0);
  });

  it("never pauses for more than 5 s at a time", () => {
    const limit = new ReadLimit({ frames: { perSecond: 1, burst: 1 }, bytes: undefined });
    assert.equal(limit.took(20_000, 65_536, 0), 5000);
  });
});
