// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CampaignResult } from "./campaign.ts";
import { goalsOf, shortfalls, sumUp, untimed } from "./figures.ts";

const good: CampaignResult = {
  seed: 7,
  pace: "apart",
  sent: 26_000,
  acked: 25_500,
  delivered: 25_400,
  pushed: 300,
  deadLetters: 0,
  faults: 14,
  recalls: 40,
  edits: 60,
  groups: 5,
  groupChanges: 30,
  broadcasts: 9,
  lost: 0,
  duplicated: 0,
  reordered: 0,
  corrupted: 0,
  pushLateMaxMs: 4000,
  fakeOnlineMaxMs: 14_000,
  ackP99Ms: 900,
  stallMaxMs: 40,
  reconnects: 60,
  restarts: 0,
  seconds: 80,
  violated: {},
  violations: [],
};
const eight = (change: Partial<CampaignResult> = {}): CampaignResult[] =>
  Array.from({ length: 8 }, (_, i) => ({ ...good, seed: i, ...(i === 3 ? change : {}) }));

describe("campaign figures", () => {
  it("ask for 200,000 messages and 100 faults in eight minutes, and for no more than a million and 500", () => {
    const usual = goalsOf(8, 60);
    assert.ok(usual.acked >= 200_000 && usual.faults === 100 && usual.fakeOnlineMaxMs === 15_000);
    assert.deepEqual(goalsOf(24, 180), {
      acked: 1_000_000,
      faults: 500,
      fakeOnlineMaxMs: 15_000,
      resumeMs: 10_000,
    });
    assert.equal(goalsOf(1, 20).faults, 4);
    assert.deepEqual(goalsOf(1, 60, true), { ...usual, acked: 1, faults: 1 });
  });

  it("sum up and find nothing missing in a good run", () => {
    const figures = sumUp(eight({ pushLateMaxMs: 5000, fakeOnlineMaxMs: 14_500 }));
    assert.equal(figures.acked, 8 * 25_500);
    assert.equal(figures.faults, 112);
    assert.equal(figures.pushLateMax, 5000);
    assert.equal(figures.fakeOnlineMaxMs, 14_500);
    assert.deepEqual(figures.failedSeeds, []);
    assert.deepEqual(shortfalls(figures, goalsOf(8, 60)), []);
  });

  it("ask for changes of messages and of groups", () => {
    const figures = sumUp([{ ...good, edits: 0, groupChanges: 0 }]);
    assert.equal(figures.recalls, 40);
    assert.deepEqual(shortfalls(figures, goalsOf(1, 20)), ["edits: none", "groupChanges: none"]);
  });

  for (const name of ["lost", "duplicated", "reordered", "corrupted"] as const) {
    it(`fall short with one message ${name}`, () => {
      const violation = { check: "C1", kind: "not shown", message: "x" } as const;
      const figures = sumUp(eight({ [name]: 1, violated: { C1: 1 }, violations: [violation] }));
      assert.deepEqual(shortfalls(figures, goalsOf(8, 60)), [`${name}: 1`, "violations: 1"]);
      assert.deepEqual(figures.failedSeeds, [3]);
    });
  }

  it("tell how fast sends resumed, in runs with failovers", () => {
    assert.equal("resumeMs" in sumUp(eight()), false);
    const figures = sumUp(eight({ resumeMs: 10_001 }));
    assert.equal(figures.resumeMs, 10_001);
    assert.deepEqual(shortfalls(figures, goalsOf(8, 60)), ["resumeMs: 10001, at most 10000"]);
  });

  it("leave out what was judged by the clock, and nothing else, on a busy machine", () => {
    const late = { check: "C7", kind: "late", message: "x" } as const;
    const lost = { check: "C1", kind: "not shown", message: "x" } as const;
    const busy = { ...good, fakeOnlineMaxMs: 20_000, violated: { C1: 1, C7: 5 }, violations: [late, lost] };
    const figures = sumUp([untimed(busy)]);
    assert.equal(figures.violations, 1);
    assert.equal(figures.fakeOnlineMaxMs, 0);
    assert.deepEqual(untimed(busy).violations, [lost]);
    assert.deepEqual(untimed({ ...busy, violated: {}, violations: [] }).violated, {});
  });

  it("fall short with too little load, too few faults, or ghosts online", () => {
    const goals = goalsOf(8, 60);
    const figures = sumUp(eight({ fakeOnlineMaxMs: 15_001 }));
    assert.deepEqual(shortfalls(figures, goals), ["fakeOnlineMaxMs: 15001, at most 15000"]);
    const dense = sumUp(eight({ pace: "dense", fakeOnlineMaxMs: 15_001 }));
    assert.equal(shortfalls(dense, goals).length, 1, "with two faults at a time too");
    assert.equal(shortfalls({ ...figures, fakeOnlineMaxMs: 0, acked: goals.acked - 1 }, goals).length, 1);
    assert.equal(shortfalls({ ...figures, fakeOnlineMaxMs: 0, faults: 99 }, goals).length, 1);
  });
});
