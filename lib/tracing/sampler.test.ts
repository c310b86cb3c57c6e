// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../clock.ts";
import { TraceSampler } from "./sampler.ts";

function sampled(ratio: number, perSecond: number, messages: number) {
  const clock = new FakeClock();
  let at = 0;
  // Evenly over [0, 1), out of order: the share comes out nearly exactly.
  const sampler = new TraceSampler({ ratio, perSecond, clock, random: () => ((at++ * 617) % 1000) / 1000 });
  const ask = (count: number): number => {
    let taken = 0;
    for (let asked = 0; asked < count; asked++) if (sampler.isSampled()) taken++;
    return taken;
  };
  return { first: ask(messages), ask, clock, counts: sampler.counts };
}

describe("the share of messages that are traced", () => {
  it("is the ratio", () => {
    for (const ratio of [0.001, 0.01, 0.25, 0.5, 0.999]) {
      const { first } = sampled(ratio, 1e9, 1_000_000);
      assert.ok(Math.abs(first - ratio * 1_000_000) < ratio * 10_000, `${ratio}: ${first}`);
    }
    assert.equal(sampled(1, 1000, 500).first, 500);
    assert.equal(sampled(0, 1000, 10_000).first, 0);
  });

  it("is never more than so many a second, and says how many were too many", () => {
    const { first, ask, clock, counts } = sampled(1, 20, 1000);
    assert.equal(first, 20);
    assert.deepEqual(counts, { sampled: 20, limited: 980 });
    clock.advance(500);
    assert.equal(ask(100), 10);
    clock.advance(60_000);
    assert.equal(ask(100), 20);
  });

  it("takes traces that others have begun whatever the ratio is, and shares the limit with them", () => {
    const clock = new FakeClock();
    const sampler = new TraceSampler({ ratio: 1e-9, perSecond: 5, clock, random: () => 0.5 });
    const taken = Array.from({ length: 8 }, () => sampler.mayContinue()).filter(Boolean);
    assert.deepEqual([taken.length, sampler.counts], [5, { sampled: 5, limited: 3 }]);
    assert.equal(sampler.isSampled(), false);
  });
});
