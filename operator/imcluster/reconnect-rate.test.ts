// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type BudgetLimits, distress, firstRate, nextRate, type ReceiverSignals } from "./reconnect-rate.ts";

const LIMITS: BudgetLimits = { maxPerSecond: 1_000, minPerSecond: 50, loginP99Ms: 500, loginFailureRatio: 0.05 };
const CALM: ReceiverSignals = {
  ...{ logins: 100, failed: 5, usualFailed: 0, loginP99Ms: 500 },
  ...{ ackTimeoutsPerSecond: 5, usualAckTimeoutsPerSecond: 0 },
};

describe("distress", () => {
  const cases: [string, Partial<ReceiverSignals>, RegExp | undefined][] = [
    ["nothing is at its limit", {}, undefined],
    ["logins are slow", { loginP99Ms: 501 }, /logins take 501 ms/],
    ["few logins are slow", { loginP99Ms: 9_000, logins: 19, failed: 0 }, undefined],
    ["logins are refused", { failed: 6 }, /6 of 100 logins were refused/],
    ["a few are, of few", { failed: 2, logins: 3 }, undefined],
    ["as many are refused as ever", { failed: 40, usualFailed: 30 }, undefined],
    ["more than twice as many are", { failed: 64, usualFailed: 30 }, /64 of 100 logins were refused, 30 are usual/],
    ["hardly anybody else logs in", { failed: 90, usualFailed: 81 }, undefined],
    ["acknowledgements are late", { ackTimeoutsPerSecond: 5.1 }, /not acknowledged/],
    ["as many as ever", { ackTimeoutsPerSecond: 24, usualAckTimeoutsPerSecond: 10 }, undefined],
    ["more than twice as many", { ackTimeoutsPerSecond: 26, usualAckTimeoutsPerSecond: 10 }, /26 deliveries/],
  ];
  for (const [what, fields, expected] of cases) {
    it(`when ${what}: ${expected ?? "none"}`, () => {
      const found = distress({ ...CALM, ...fields }, LIMITS);
      if (expected) assert.match(found ?? "", expected);
      else assert.equal(found, undefined);
    });
  }
});

describe("the rate", () => {
  const bad = { ...CALM, loginP99Ms: 900 };

  it("stays while only some of them answer, and comes down all the same", () => {
    const state = firstRate(LIMITS, 0);
    const partial = { ...CALM, isPartial: true };
    assert.equal(nextRate(state, partial, LIMITS, 1_000).ratePerSecond, 500);
    assert.equal(nextRate(state, { ...bad, isPartial: true }, LIMITS, 1_000).ratePerSecond, 250);
  });

  it("begins at half, and rises by a twentieth of the maximum a second", () => {
    let state = firstRate(LIMITS, 0);
    assert.equal(state.ratePerSecond, 500);
    state = nextRate(state, CALM, LIMITS, 999);
    assert.equal(state.ratePerSecond, 500, "not before a second is over");
    for (let second = 1; second <= 12; second++) state = nextRate(state, CALM, LIMITS, second * 1_000);
    assert.equal(state.ratePerSecond, 1_000);
  });

  it("rises by the time that has passed, of a look that is late by three seconds of it", () => {
    const state = firstRate(LIMITS, 0);
    assert.equal(nextRate(state, CALM, LIMITS, 1_500).ratePerSecond, 575);
    assert.equal(nextRate(state, CALM, LIMITS, 60_000).ratePerSecond, 650);
  });

  it("is halved at once, then waits for the effect, and never falls below the minimum", () => {
    let state = nextRate(firstRate(LIMITS, 0), bad, LIMITS, 1_000);
    assert.equal(state.ratePerSecond, 250);
    state = nextRate(state, bad, LIMITS, 2_000);
    assert.equal(state.ratePerSecond, 250);
    state = nextRate(state, bad, LIMITS, 4_000);
    assert.equal(state.ratePerSecond, 125);
    for (let second = 8; second < 60; second += 4) state = nextRate(state, bad, LIMITS, second * 1_000);
    assert.equal(state.ratePerSecond, 50);
    assert.equal(nextRate(state, CALM, LIMITS, 57_000).ratePerSecond, 100);
  });

  it("stays as it is when nobody can say, and is forgotten after ten minutes", () => {
    const state = { ratePerSecond: 70, judgedMs: 0, heldUntilMs: 0 };
    assert.equal(nextRate(state, undefined, LIMITS, 5_000).ratePerSecond, 70);
    assert.equal(nextRate(state, CALM, LIMITS, 600_001).ratePerSecond, 500);
  });

  it("keeps within the limits, whatever is heard and however they change", () => {
    const signals = fc.option(
      fc.record({
        logins: fc.nat(1_000),
        failed: fc.nat(1_000),
        usualFailed: fc.nat(1_000),
        loginP99Ms: fc.nat(5_000),
        ackTimeoutsPerSecond: fc.nat(100),
        usualAckTimeoutsPerSecond: fc.nat(100),
      }),
      { nil: undefined },
    );
    const limits = fc
      .tuple(fc.integer({ min: 1, max: 5_000 }), fc.integer({ min: 1, max: 5_000 }))
      .map(([a, b]) => ({ ...LIMITS, minPerSecond: Math.min(a, b), maxPerSecond: Math.max(a, b) }));
    fc.assert(
      fc.property(fc.array(fc.tuple(signals, limits, fc.nat(5_000)), { maxLength: 50 }), (steps) => {
        let nowMs = 0;
        let state = firstRate(LIMITS, nowMs);
        for (const [heard, now, laterMs] of steps) {
          nowMs += laterMs;
          state = nextRate(state, heard, now, nowMs);
          assert.ok(state.ratePerSecond >= now.minPerSecond && state.ratePerSecond <= now.maxPerSecond);
        }
      }),
    );
  });
});
