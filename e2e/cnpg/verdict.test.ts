// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { HistoryEvent } from "../checker/history.ts";
import type { PairsReport } from "../workload/pairs.ts";
import { type Figures, faultsOf, figuresOf } from "./verdict.ts";

const KEPT: Figures = {
  ...{ sent: 9, acked: 9, changed: 0, delivered: 9, lost: 0, duplicated: 0, reordered: 0, corrupted: 0 },
  ...{ ackP50Ms: 5, ackP99Ms: 50, reconnects: 0, seconds: 60, primaries: ["db-1", "db-2", "db-3"] },
  silenceSeconds: { "standby killed": 0.1, switchover: 4, "primary killed": 9 },
};

describe("a run with a database that fails over", () => {
  it("holds when everything sent was acknowledged and shown once, through two promotions", () => {
    assert.deepEqual(faultsOf(KEPT), []);
    assert.deepEqual(faultsOf({ ...KEPT, primaries: [...KEPT.primaries, "db-1"] }), [], "and a third one");
  });

  const broken: [string, Partial<Figures>, RegExp][] = [
    ["a lost message", { lost: 1 }, /1 lost/],
    ["one shown twice", { duplicated: 2 }, /2 duplicated/],
    ["one out of order", { reordered: 1 }, /1 reordered/],
    ["another content", { corrupted: 1 }, /1 corrupted/],
    ["no answer to a send", { acked: 8 }, /8 of 9 acknowledged/],
    ["one that was not shown", { delivered: 8 }, /8 of 9 shown/],
    ["nothing sent", { sent: 0, acked: 0, delivered: 0 }, /0 of 0 acknowledged/],
    ["a primary that stayed", { primaries: ["db-1", "db-2"] }, /not two promotions/],
    ["a fault that was not made", { silenceSeconds: { switchover: 1, "primary killed": 1 } }, /a fault is missing/],
    ["a long silence", { silenceSeconds: { ...KEPT.silenceSeconds, switchover: 61 } }, /switchover: .* for 61 s/],
    [
      "sends that never went on",
      { silenceSeconds: { ...KEPT.silenceSeconds, "primary killed": Number.POSITIVE_INFINITY } },
      /primary killed: .* for Infinity s/,
    ],
  ];
  for (const [what, change, told] of broken)
    it(`falls short by ${what}`, () => {
      const faults = faultsOf({ ...KEPT, ...change });
      assert.equal(faults.length, 1, faults.join("; "));
      assert.match(faults[0] ?? "", told);
    });

  it("is told in seconds", () => {
    const base = { seed: "t", process: "t" };
    const ack = (atMs: number): HistoryEvent => {
      const message = { uid: "a", device: "d", cmid: `${atMs}`, to: "b", bodyHash: "h" };
      return { ...base, op: "send", kind: "ok", atMs, ...message };
    };
    const events: HistoryEvent[] = [
      ack(0),
      { ...base, op: "fault", kind: "info", what: "switchover", atMs: 10 },
      ack(3456),
    ];
    const { primaries: _primaries, silenceSeconds: _silence, ...of } = KEPT;
    const counts = { violations: {} } as PairsReport["counts"];
    const figures = figuresOf({ ...of, events, violations: [], counts }, ["db-1"]);
    assert.deepEqual(figures.silenceSeconds, { switchover: 3.46 });
    assert.deepEqual(figures.primaries, ["db-1"]);
    assert.ok(!("events" in figures));
  });
});
