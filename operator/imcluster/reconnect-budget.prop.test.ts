// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { HANDED_OUT, type Lease, ReconnectBudget } from "./reconnect-budget.ts";
import type { BudgetLimits } from "./reconnect-rate.ts";

/** A budget of which so many a second are handed out. */
const handsOut = (perSecond: number): BudgetLimits => limitsOf(perSecond / HANDED_OUT);
const limitsOf = (perSecond: number): BudgetLimits => ({
  ...{ maxPerSecond: perSecond, minPerSecond: perSecond, loginP99Ms: 500, loginFailureRatio: 0.05 },
});

interface Sim {
  uid: string;
  initial: number;
  waiting: number;
  /** [from, to, connections], absolute ms. */
  granted: [number, number, number][];
}

/** Passes a drain would make; `lost` says which answers never arrive, `lateMs` how long after the division the calls go out. */
function run(perSecond: number, windowMs: number, sizes: number[], gapsMs: number[], lost: boolean[], lateMs = [0]) {
  const budget = new ReconnectBudget();
  const entries: Sim[] = sizes.map((initial, at) => ({ uid: `e${at}`, initial, waiting: initial, granted: [] }));
  let nowMs = 1_000;
  let passes = 0;
  for (const [at, gapMs] of gapsMs.entries()) {
    nowMs += gapMs;
    passes++;
    budget.judge(undefined, limitsOf(perSecond), nowMs);
    budget.divide(entries, windowMs, nowMs);
    for (const entry of entries) {
      nowMs += lateMs[passes % lateMs.length] ?? 0;
      const lease = budget.take(entry.uid, 5_000, nowMs) as Lease;
      assert.ok(lease.connections <= entry.waiting, "never more than there are");
      assert.equal(budget.take(entry.uid, 5_000, nowMs), undefined, "once a pass");
      if (lost[at]) continue;
      entry.waiting -= lease.connections;
      const fromMs = nowMs + lease.afterMs;
      if (lease.connections > 0) entry.granted.push([fromMs, fromMs + lease.spreadMs, lease.connections]);
    }
  }
  return { entries, nowMs, passes };
}

/** Clients asked in [fromMs, fromMs + 1000), if each lease is spread evenly. */
function within(granted: readonly [number, number, number][], fromMs: number): number {
  return granted.reduce((sum, [begin, end, count]) => {
    if (end <= begin) return sum + (begin >= fromMs && begin < fromMs + 1_000 ? count : 0);
    const overlap = Math.max(0, Math.min(end, fromMs + 1_000) - Math.max(begin, fromMs));
    return sum + (count * overlap) / (end - begin);
  }, 0);
}

describe("ReconnectBudget", () => {
  it("is never overrun in any second, however many drain and however unevenly the passes come", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 3_000 }),
        fc.constantFrom(0, 1_000, 5_000, 60_000),
        fc.array(fc.integer({ min: 0, max: 5_000 }), { minLength: 1, maxLength: 8 }),
        fc.array(fc.integer({ min: 0, max: 2_000 }), { minLength: 1, maxLength: 40 }),
        fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }),
        fc.array(fc.integer({ min: 0, max: 900 }), { minLength: 1, maxLength: 5 }),
        (perSecond, windowMs, sizes, gapsMs, lost, lateMs) => {
          const { entries, nowMs } = run(perSecond, windowMs, sizes, gapsMs, lost, lateMs);
          const granted = entries.flatMap((one) => one.granted);
          for (let fromMs = 1_000; fromMs < nowMs + 1_000; fromMs += 250) {
            // Each lease of an entry may round its spread by a millisecond.
            const allowed = perSecond * HANDED_OUT * 1.01 + entries.length;
            assert.ok(within(granted, fromMs) <= allowed, `${within(granted, fromMs)} > ${perSecond} at ${fromMs}`);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it("is used up while nobody suffers, however slow the passes are", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 10, max: 3_000 }),
        fc.array(fc.integer({ min: 1, max: 10 }), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 300, max: 2_500 }),
        fc.array(fc.double({ min: 0.3, max: 1, noNaN: true }), { minLength: 1, maxLength: 7 }),
        fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 3 }),
        (perSecond, shares, slowestMs, speeds, lateMs) => {
          const parts = shares.reduce((sum, share) => sum + share, 0);
          const sizes = shares.map((share) => Math.ceil((share / parts) * perSecond * 60));
          const gapsMs = Array.from({ length: 1_500 }, (_, at) => slowestMs * (speeds[at % speeds.length] ?? 1));
          const { entries } = run(perSecond, 0, sizes, gapsMs, [], lateMs);
          assert.ok(entries.every(({ waiting }) => waiting === 0));
          const granted = entries.flatMap((one) => one.granted);
          const [begin, end] = [Math.min(...granted.map(([at]) => at)), Math.max(...granted.map(([, at]) => at))];
          const used = sizes.reduce((sum, size) => sum + size, 0) / (((end - begin) / 1000) * perSecond);
          assert.ok(
            used >= 0.85,
            `${Math.round(used * 100)} % of ${perSecond} a second with passes up to ${slowestMs} ms`,
          );
        },
      ),
      { numRuns: 200, seed: 40 },
    );
  });

  it("comes to an end also where a second has not even one", () => {
    const { entries } = run(1, 0, [3], Array(20).fill(500), []);
    assert.equal(entries[0]?.waiting, 0);
    const begins = entries[0]?.granted.map(([begin]) => begin) ?? [];
    assert.ok(
      begins.every((begin, at) => at === 0 || begin - (begins[at - 1] ?? 0) >= 1_000),
      begins.join(),
    );
  });

  it("looks no further ahead than a second when passes are quick, and again when they are", () => {
    const budget = new ReconnectBudget();
    budget.judge(undefined, handsOut(100), 0);
    const entry = { uid: "a", initial: 100_000, waiting: 100_000 };
    const endAfter = (nowMs: number): number => {
      budget.divide([entry], 0, nowMs);
      const { afterMs, spreadMs } = budget.take("a", 0, nowMs) as Lease;
      return afterMs + spreadMs;
    };
    assert.deepEqual([endAfter(0), endAfter(500), endAfter(1_000)], [1_000, 1_000, 1_000]);
    assert.deepEqual([endAfter(2_500), endAfter(5_500)], [3_000, 4_000], "at most four seconds, whatever comes");
    budget.rest();
    assert.equal(endAfter(60_000), 1_000);
  });

  it("moves a lease that is handed out late, and what follows it", () => {
    const budget = new ReconnectBudget();
    budget.judge(undefined, handsOut(100), 0);
    const entry = { uid: "a", initial: 1_000, waiting: 1_000 };
    const pass = (nowMs: number, lateMs: number): [number, number, number] => {
      budget.divide([entry], 0, nowMs);
      const { connections, afterMs, spreadMs } = budget.take("a", 0, nowMs + lateMs) as Lease;
      return [connections, nowMs + lateMs + afterMs, nowMs + lateMs + afterMs + spreadMs];
    };
    assert.deepEqual(pass(1_000, 100), [100, 1_100, 2_100], "begins a tenth of a second late, and ends so");
    assert.deepEqual(pass(1_500, 300), [40, 2_100, 2_500], "late, but not for its place in time");
    assert.deepEqual(pass(2_000, 0), [50, 2_500, 3_000]);
  });

  it("counts what the window of an entry stretches, when another entry begins to drain beside it", () => {
    const budget = new ReconnectBudget();
    budget.judge(undefined, limitsOf(1_000), 0);
    const granted: [number, number, number][] = [];
    const pass = (nowMs: number, entries: { uid: string; initial: number; waiting: number }[]): void => {
      budget.divide(entries, 5_000, nowMs);
      for (const { uid } of entries) {
        const { connections, afterMs, spreadMs } = budget.take(uid, 0, nowMs) as Lease;
        if (connections > 0) granted.push([nowMs + afterMs, nowMs + afterMs + spreadMs, connections]);
      }
    };
    const first = { uid: "a", initial: 3_100, waiting: 3_100 };
    pass(0, [first]);
    for (const nowMs of [400, 800, 1_200])
      pass(nowMs, [
        { ...first, waiting: 2_480 },
        { uid: "b", initial: 50_000, waiting: 50_000 },
      ]);
    for (let fromMs = 0; fromMs < 2_000; fromMs += 100)
      assert.ok(within(granted, fromMs) <= 1_010, `${within(granted, fromMs)} from ${fromMs}`);
  });

  it("lets no entry go faster than its window says", () => {
    const { entries } = run(100_000, 10_000, [1_000], Array(19).fill(500), []);
    const granted = entries[0]?.granted ?? [];
    for (let fromMs = 1_000; fromMs < 11_000; fromMs += 250) assert.ok(within(granted, fromMs) <= 102);
  });

  it("moves everybody in about the time that rate and window allow", () => {
    const cases: [number, number, number[], number][] = [
      [1_000, 0, [4_000, 4_000], 8_000],
      [1_000, 5_000, [500], 5_000],
      [50, 5_000, [3], 3_400],
      [2_000, 5_000, [10_000], 5_000],
      [2_000, 5_000, [20_000], 10_000],
    ];
    for (const [perSecond, windowMs, sizes, expectedMs] of cases) {
      const { entries } = run(perSecond, windowMs, sizes, Array(60).fill(500), []);
      assert.deepEqual(
        entries.map(({ waiting }) => waiting),
        sizes.map(() => 0),
        `${perSecond}/s`,
      );
      const lastMs = Math.max(...entries.flatMap(({ granted }) => granted.map(([, end]) => end))) - 1_500;
      assert.ok(lastMs <= (expectedMs / HANDED_OUT) * 1.2 + 500, `${sizes.join()} at ${perSecond}/s: ${lastMs} ms`);
    }
  });

  it("closes what is left past a deadline in time, by a higher rate where that is needed, never above the highest", () => {
    const LIMITS = { ...limitsOf(2_000), minPerSecond: 50 };
    const slow = { logins: 100, failed: 100, usualFailed: 0, loginP99Ms: 9_000 };
    const bad = { ...slow, ackTimeoutsPerSecond: 0, usualAckTimeoutsPerSecond: 0 };
    const cases: [left: number, lastsMs: number, perSecond: number][] = [
      [300, 6_000, 50],
      [10_000, 20_000, 500],
      [100_000, 50_000, 2_000],
    ];
    for (const [left, lastsMs, perSecond] of cases) {
      const budget = new ReconnectBudget();
      for (let nowMs = 0; nowMs < 60_000; nowMs += 4_000) budget.judge(bad, LIMITS, nowMs);
      const begunMs = 60_000;
      const granted: [number, number, number][] = [];
      let waiting = left;
      for (let nowMs = begunMs; waiting > 0; nowMs += 500) {
        const closeWithinMs = Math.max(1_000, begunMs + 20_000 - nowMs);
        budget.judge(bad, LIMITS, nowMs);
        budget.divide([{ uid: "a", initial: left, waiting, closeWithinMs }], 600_000, nowMs);
        const { connections, afterMs, spreadMs } = budget.take("a", 0, nowMs) as Lease;
        waiting -= connections;
        if (connections > 0) granted.push([nowMs + afterMs, nowMs + afterMs + spreadMs, connections]);
        assert.ok(nowMs < begunMs + 100_000);
      }
      const tookMs = Math.max(...granted.map(([, end]) => end)) - begunMs;
      assert.ok(Math.abs(tookMs - lastsMs) <= 0.15 * lastsMs, `${left} took ${tookMs} ms`);
      const most = Math.max(...granted.map(([begin]) => within(granted, begin)));
      assert.ok(most <= perSecond * 1.1, `${most} in a second, ${perSecond} were expected`);
    }
  });

  it("divides by what each has left", () => {
    const budget = new ReconnectBudget();
    budget.judge(undefined, handsOut(100), 0);
    const entry = (uid: string, waiting: number) => ({ uid, initial: 1_000, waiting });
    budget.divide([entry("a", 900), entry("b", 90), entry("c", 0)], 0, 0);
    assert.deepEqual(
      ["a", "b", "c"].map((uid) => budget.take(uid, 0, 0)?.connections),
      [91, 9, 0],
    );
  });

  it("numbers leases so that those of the next operator are higher", () => {
    const numbers = (budget: ReconnectBudget, wallMs: number) => {
      budget.judge(undefined, limitsOf(100), 0);
      return [1, 2, 3].map(() => {
        budget.divide([{ uid: "a", initial: 1, waiting: 1 }], 0, 0);
        return budget.take("a", wallMs, 0)?.number ?? 0;
      });
    };
    assert.deepEqual(numbers(new ReconnectBudget(), 7_000.5), [7_000, 7_001, 7_002]);
    assert.deepEqual(numbers(new ReconnectBudget(), 9_000), [9_000, 9_001, 9_002]);
  });
});
