// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Leaver } from "./drain-estimate.ts";
import { estimateMove, type Move, roughSeconds } from "./move-estimate.ts";
import { HANDED_OUT } from "./reconnect-budget.ts";

const budgetOf = (maxPerSecond: number) => ({
  ...{ maxPerSecond, minPerSecond: 50, loginP99Ms: 1_000, loginFailureRatio: 0.05 },
});
const serving = (count: number, sessions: number): Leaver[] =>
  Array.from({ length: count }, () => ({ phase: undefined, leftMs: 0, initial: sessions, waiting: sessions }));
const drain = { windowMs: 5_000, deadlineMs: 600_000, onDeadline: "Force" as const, lbDetachMs: 2_000 };

/** Four entries of 1,000 clients are replaced. */
const move = (more: Partial<Move> = {}): Move => ({
  ...{ leavers: serving(4, 1_000), starts: 4, fresh: 0, replicas: 4, isUpdate: true, drain, budget: budgetOf(2_000) },
  update: { strategy: "BlueGreen", batch: 1, maxConnectionsPerPod: 10_000 },
  ...more,
});
const rounded = (seconds: number): number => Math.round(seconds * 2) / 2;
const seconds = (more: Partial<Move> = {}): number => rounded(estimateMove(move(more)).seconds);
const BATCHED = { strategy: "Batched" as const, batch: 1, maxConnectionsPerPod: 10_000 };

describe("estimateMove", () => {
  it("is nothing for nobody", () => {
    assert.deepEqual(estimateMove(move({ leavers: [], starts: 0 })), { seconds: 0, each: [], peakPerSecond: 0 });
  });

  it("waits for new entries, closes the old ones once, and asks their clients one entry after the other", () => {
    const { each } = estimateMove(move());
    assert.deepEqual(each.map(rounded), [19.5, 24.5, 29.5, 34.5]);
    assert.equal(seconds({ starts: 0 }), 24.5);
    assert.equal(seconds({ starts: 200 }), 40 + 24.5);
    assert.equal(seconds({ drain: { ...drain, windowMs: 60_000 } }), 10 + 2.5 + 4 * 60 + 2);
    assert.equal(seconds({ drain: { ...drain, lbDetachMs: 300_000 } }), 10 + 300.5 + 4 * 5 + 2, "waited for once");
  });

  it("waits for the load balancer for each of those that leave one after the other", () => {
    const one = { isUpdate: false, starts: 0 };
    assert.equal(seconds({ ...one, leavers: serving(3, 1_000) }), 3 * (2.5 + 5 + 2));
    assert.equal(seconds({ ...one, leavers: serving(3, 1_000), replicas: 12 }), 2.5 + 5 + 2, "a quarter at a time");
    assert.equal(seconds({ ...one, leavers: serving(3, 1_000), replicas: 0 }), 2.5 + 5 + 2, "nobody takes over");
  });

  it("takes over at what rate clients move at present", () => {
    const large = { leavers: serving(1, 10_000), starts: 0, isUpdate: false, budget: budgetOf(250) };
    // Half of 250 at first, then more for ten seconds; of these, 92 % are handed out.
    const [slow, fast] = [seconds(large), seconds({ ...large, ratePerSecond: 250 })];
    assert.ok(Math.abs(fast - (10_000 / (250 * HANDED_OUT) + 4.5)) < 0.1, `${fast}`);
    assert.ok(Math.abs(slow - fast - 2.5) < 0.5, `${slow} and ${fast}`);
    assert.equal(estimateMove(move(large)).peakPerSecond, 230);
  });

  it("goes batch by batch until there is room for everybody, then all the rest at once", () => {
    // 1,050 clients of an entry at the most, so that four entries of the new revision are needed: in batches of one.
    const full = { leavers: serving(4, 1_000), update: { ...BATCHED, maxConnectionsPerPod: 1_500 } };
    const step = 2.5 + 5 + 2;
    assert.equal(seconds(full), 4 * (10 + step), "each new one is followed by an old one");
    assert.equal(seconds({ ...full, update: BATCHED }), 10 + 24.5 + 10, "room for all at once");
    assert.equal(seconds({ ...full, starts: 0, fresh: 4 }), 2.5 + 4 * 5 + 2, "nobody has to start any more");
    const each = estimateMove(move(full)).each.map(rounded);
    assert.deepEqual(each, [19.5, 39, 58.5, 78]);
  });

  it("counts those first whose drain has begun", () => {
    const begun: Leaver = { phase: "Draining", leftMs: 600_000, initial: 1_000, waiting: 500 };
    const { each } = estimateMove(move({ leavers: [begun, ...serving(1, 1_000)], starts: 0, update: BATCHED }));
    assert.deepEqual(each.map(rounded), [4.5, 9.5]);
  });

  it("asks no more at once than the budget allows, and takes longer for that", () => {
    const busy = { leavers: serving(4, 20_000), starts: 0 };
    assert.equal(estimateMove(move(busy)).peakPerSecond, 2_000 * HANDED_OUT);
    assert.equal(estimateMove(move({ ...busy, budget: budgetOf(50_000) })).peakPerSecond, 4_000);
    assert.ok(Math.abs(seconds(busy) - 80_000 / (2_000 * HANDED_OUT) - 4.5 - 2.5) < 0.5);
  });

  it("counts on no window as on the budget alone", () => {
    assert.equal(seconds({ starts: 0, drain: { ...drain, windowMs: 0 }, budget: budgetOf(1_000_000) }), 4.5);
  });
});

describe("roughSeconds", () => {
  it("is off by a twentieth at most", () => {
    for (let exact = 0; exact < 20_000; exact += 0.7) {
      const error = Math.abs(roughSeconds(exact) - exact);
      assert.ok(error <= Math.max(0.5, exact / 20), `${exact} s became ${roughSeconds(exact)}`);
    }
    assert.deepEqual([0, 0.4, 19.6, 21.2, 61, 1_000].map(roughSeconds), [0, 0, 20, 22, 60, 1_020]);
  });
});
