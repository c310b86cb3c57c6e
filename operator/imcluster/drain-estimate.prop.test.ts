// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type DrainTerms, estimateDrains, type Leaver } from "./drain-estimate.ts";
import { HANDED_OUT, type Lease, ReconnectBudget } from "./reconnect-budget.ts";
import type { BudgetLimits, ReceiverSignals } from "./reconnect-rate.ts";

const CALM: ReceiverSignals = {
  ...{ logins: 100, failed: 0, usualFailed: 0, loginP99Ms: 10 },
  ...{ ackTimeoutsPerSecond: 0, usualAckTimeoutsPerSecond: 0 },
};
const FEW = 100;
/** How near an estimate comes is no law: what is tried is the same in each run. */
const SEED = 40;
/** From the last client that is asked to the end of a drain. */
const AFTER_SECONDS = 2;

const budgetOf = (maxPerSecond: number, minPerSecond = 1): BudgetLimits => ({
  ...{ maxPerSecond, minPerSecond: Math.min(minPerSecond, maxPerSecond), loginP99Ms: 1_000, loginFailureRatio: 0.1 },
});

type Terms = Omit<Partial<DrainTerms>, "drain"> & { drain?: Partial<DrainTerms["drain"]> };

const terms = (more: Terms = {}): DrainTerms => ({
  ...{ budget: budgetOf(100), atOnce: 10, isTogether: true, ...more },
  drain: { windowMs: 0, deadlineMs: 3_600_000, onDeadline: "Force", lbDetachMs: 2_000, ...more.drain },
});

const leaver = (waiting: number, more: Partial<Leaver> = {}): Leaver => ({
  ...{ phase: "Draining", leftMs: 3_600_000, initial: waiting, waiting, ...more },
});

/**
 * Passes of an operator over entries that ask: when the last of each was asked, or closed. Past the deadline of an entry what
 * is left is closed within that time once more.
 */
function simulate(
  leavers: readonly Leaver[],
  { budget: limits, drain }: DrainTerms,
  gapsMs: readonly number[],
): number[] {
  const budget = new ReconnectBudget();
  const all = leavers.map(({ waiting, initial, leftMs }, at) => ({
    ...{ uid: `e${at}`, waiting, initial, leftMs, lastMs: 0, closeUntilMs: 0 },
  }));
  let nowMs = 0;
  for (let pass = 0; all.some(({ waiting }) => waiting > 0); pass++) {
    assert.ok(pass < 200_000, "it ends");
    budget.judge(CALM, limits, nowMs);
    const asking = all.filter(({ waiting }) => waiting > 0);
    for (const one of asking)
      if (nowMs >= one.leftMs && one.closeUntilMs === 0)
        one.closeUntilMs = nowMs + Math.max(drain.deadlineMs, (one.waiting / limits.maxPerSecond) * 1000);
    budget.divide(
      asking.map(({ uid, waiting, initial, closeUntilMs }) => ({
        ...{ uid, initial, waiting },
        ...(closeUntilMs > 0 ? { closeWithinMs: Math.max(1_000, closeUntilMs - nowMs) } : {}),
      })),
      drain.windowMs,
      nowMs,
    );
    for (const one of asking) {
      const { connections, afterMs, spreadMs } = budget.take(one.uid, 0, nowMs) as Lease;
      one.waiting -= connections;
      if (connections > 0) one.lastMs = nowMs + afterMs + spreadMs;
    }
    nowMs += gapsMs[pass % gapsMs.length] ?? 500;
  }
  return all.map(({ lastMs }) => lastMs / 1000);
}

const gaps = fc.array(fc.integer({ min: 300, max: 1_500 }), { minLength: 1, maxLength: 9 });

function near(estimated: number, simulated: number, what: string): void {
  const error = Math.abs(estimated - simulated);
  assert.ok(error <= 0.2 * simulated + 2, `${what}: ${estimated} s were estimated, it took ${simulated} s`);
}

describe("estimateDrains", () => {
  it("says of drains under way when they end, whatever sizes, windows and budgets, within a fifth", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 100 })), {
          minLength: 1,
          maxLength: 6,
        }),
        fc.constantFrom(0, 2_000, 30_000, 120_000),
        fc.integer({ min: 10, max: 3_000 }),
        gaps,
        (sizes, windowMs, maxPerSecond, gapsMs) => {
          const leavers = sizes.map(([seconds, percent]) => {
            // Of a few each counts more than a fifth.
            const initial = Math.max(FEW, seconds * maxPerSecond);
            return leaver(Math.max(FEW, Math.ceil((initial * percent) / 100)), { initial });
          });
          const now = terms({ budget: budgetOf(maxPerSecond), drain: { windowMs, deadlineMs: 1e9 } });
          const endless = leavers.map((one) => ({ ...one, leftMs: 1e9 }));
          const estimated = estimateDrains(endless, now).seconds.map((seconds) => seconds - AFTER_SECONDS);
          const simulated = simulate(endless, now, gapsMs);
          near(Math.max(...estimated), Math.max(...simulated), "the last");
        },
      ),
      { numRuns: 150, seed: SEED },
    );
  });

  it("knows that what is left at the deadline is closed, and how fast", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 600, max: 8_000 }), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 20, max: 500 }),
        fc.integer({ min: 5_000, max: 60_000 }),
        gaps,
        (sizes, maxPerSecond, deadlineMs, gapsMs) => {
          const now = terms({ budget: budgetOf(maxPerSecond), drain: { windowMs: 600_000, deadlineMs } });
          const leavers = sizes.map((size) => leaver(size, { leftMs: deadlineMs }));
          const estimated = estimateDrains(leavers, now).seconds.map((seconds) => seconds - AFTER_SECONDS);
          near(Math.max(...estimated), Math.max(...simulate(leavers, now, gapsMs)), "the last");
        },
      ),
      { numRuns: 100, seed: SEED },
    );
  });

  it("is right again and again while a drain goes on, and better and better", () => {
    const now = terms({ budget: budgetOf(200) });
    const whole = simulate([leaver(9_000)], now, [500])[0] ?? 0;
    const first = (estimateDrains([leaver(9_000)], now).seconds[0] ?? 0) - AFTER_SECONDS;
    near(first, whole, "at first");
    // 100 rises to 200 within ten seconds, in which 1,380 are asked; then 184 a second.
    for (const waiting of [7_000, 3_000, 500]) {
      const passed = 10 + (9_000 - 1_380 - waiting) / (200 * HANDED_OUT);
      const left = (estimateDrains([leaver(waiting)], { ...now, ratePerSecond: 200 }).seconds[0] ?? 0) - AFTER_SECONDS;
      assert.ok(Math.abs(passed + left - whole) <= 2, `${waiting} left: ${passed + left} s instead of ${whole}`);
    }
  });

  it("lets so many ask at the same time as there are slots, and each close when its turn comes or all at once", () => {
    const fresh = Array.from({ length: 4 }, () => leaver(100, { phase: undefined }));
    const slow = { budget: budgetOf(10_000), drain: { windowMs: 10_000 } };
    const last = (more: Terms): number => Math.max(...estimateDrains(fresh, terms({ ...slow, ...more })).seconds);
    // 2.5 s until the first is asked, 10 s each, 2 s at the end.
    assert.equal(Math.round(last({ atOnce: 4 })), 15);
    assert.equal(Math.round(last({ atOnce: 2 })), 25);
    assert.equal(Math.round(last({ atOnce: 2, isTogether: false })), 29, "closed and let go one after the other");
    assert.equal(Math.round(last({ atOnce: 4, beginSeconds: 20 })), 35);
    assert.equal(Math.round(last({ atOnce: 4, drain: { ...terms(slow).drain, lbDetachMs: 300_000 } })), 313);
  });

  it("counts those twice that move to an entry that leaves later", () => {
    const three = [100, 200, 300].map((clients) => leaver(clients, { phase: undefined }));
    const last = (stayers?: number): number =>
      Math.max(
        ...estimateDrains(three, terms({ atOnce: 1, isTogether: false, ...(stayers ? { stayers } : {}) })).seconds,
      );
    // To the second go 100 / 3, to the third as many and (200 + 100 / 3) / 2.
    const more = (100 / 3) * 2 + (200 + 100 / 3) / 2;
    assert.ok(Math.abs(last(1) - last() - more / (100 * HANDED_OUT)) < 1, `${last(1)} and ${last()}`);
  });

  it("goes on from the phase in which a drain is", () => {
    const one = (phase: Leaver["phase"], leftMs = 0): number =>
      estimateDrains([leaver(100, { phase, leftMs })], terms({ budget: budgetOf(10_000), drain: { windowMs: 10_000 } }))
        .seconds[0] ?? 0;
    assert.deepEqual(
      [one(undefined), one("Planned"), one("Cordoned", 10_000), one("Cordoned", 9_000), one("LbDetaching", 1_000)],
      [14.5, 14.5, 14.5, 13.5, 13.5],
    );
    assert.deepEqual(
      [one("Draining", 3_600_000), Math.round(one("Forcing", 13_000)), one("Purging"), one("Verifying")],
      [12, 2, 1, 0.5],
    );
  });

  it("is nothing for nobody, and short for entries without clients", () => {
    assert.deepEqual(estimateDrains([], terms()).seconds, []);
    const [seconds = 0] = estimateDrains(
      [leaver(0, { phase: undefined })],
      terms({ drain: { lbDetachMs: 300_000 } }),
    ).seconds;
    assert.ok(seconds <= 4, `${seconds}`);
  });

  it("tells the most that reconnect in a second", () => {
    const peak = (windowMs: number, maxPerSecond: number): number =>
      estimateDrains([leaver(1_000)], terms({ budget: budgetOf(maxPerSecond), drain: { windowMs } })).peakPerSecond;
    assert.equal(Math.round(peak(10_000, 10_000)), 100);
    assert.equal(Math.round(peak(0, 10)), Math.round(10 * HANDED_OUT));
  });

  it("does not take long, however many leave", () => {
    const many = Array.from({ length: 400 }, (_, at) => leaver(1_000 + at, { phase: undefined }));
    const begun = process.cpuUsage();
    estimateDrains(many, terms({ atOnce: 50, budget: budgetOf(2_000), drain: { windowMs: 60_000 } }));
    const { user, system } = process.cpuUsage(begun);
    assert.ok((user + system) / 1000 < 500, `${(user + system) / 1000} ms`);
  });
});
