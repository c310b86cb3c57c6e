// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { judge, totalOf } from "./report.ts";

const LIMITS = { reconnectsPerClient: 1, offlineP99Ms: 1000 };
const GOOD = {
  ...{ scenario: "scale", clients: 10, sessions: 10, acked: 500, lost: 0, duplicated: 0, reordered: 0 },
  ...{ otherViolations: 0, reconnects: 4, reconnectsPerClientMax: 1, offlineP99Ms: 900, ghostRoutes: 0 },
  ...{ wrongRoutes: 0, seconds: 60 },
};

describe("the judgement of a scenario", () => {
  it("is ok within its limits", () => {
    const { ok, shortfalls, ...figures } = judge(GOOD, LIMITS);
    assert.deepEqual([ok, shortfalls], [true, []]);
    const { otherViolations: _, sessions: __, ...told } = GOOD;
    assert.deepEqual(figures, told);
  });

  for (const [what, change] of Object.entries({
    "lost: 1": { lost: 1 },
    "duplicated: 2": { duplicated: 2 },
    "reordered: 1": { reordered: 1 },
    "ghostRoutes: 3": { ghostRoutes: 3 },
    "wrongRoutes: 1": { wrongRoutes: 1 },
    "other checks of the history failed 1 times": { otherViolations: 1 },
    "nothing was acknowledged": { acked: 0 },
    "2 clients are not back": { sessions: 8 },
    "a client reconnected 2 times, not 1": { reconnectsPerClientMax: 2 },
    "offline for 1001 ms, not 1000": { offlineP99Ms: 1001 },
  }))
    it(`falls short: ${what}`, () => {
      const { ok, shortfalls } = judge({ ...GOOD, ...change }, LIMITS);
      assert.deepEqual([ok, shortfalls], [false, [what]]);
    });

  it("falls short when the scenario did not come to its end", () => {
    assert.deepEqual(judge(GOOD, LIMITS, "no drain").shortfalls, ["no drain"]);
  });
});

describe("all scenarios together", () => {
  const good = judge(GOOD, LIMITS);
  const bad = judge({ ...GOOD, scenario: "upgrade", lost: 1, clients: 12 }, LIMITS);

  it("adds up, and names those that fell short", () => {
    const total = totalOf([good, bad]);
    assert.deepEqual(total.scenarios, [good, bad]);
    const { clients, acked, lost, reconnects, seconds, failed, ok } = total;
    assert.deepEqual([clients, acked, lost, reconnects, seconds], [12, 1000, 1, 8, 120]);
    assert.deepEqual([failed, ok], [["upgrade"], false]);
  });

  it("is ok when each one is, and not without any", () => {
    assert.equal(totalOf([good, good]).ok, true);
    assert.equal(totalOf([]).ok, false);
  });
});
