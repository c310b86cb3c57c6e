// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { EntryAutoscalingSpec } from "../api/v1alpha1.ts";
import { AHEAD_MS, desiredReplicas, GAP_MS, type ScalingDecision, type ScalingInput } from "./autoscaling.ts";

const START_MS = Date.parse("2026-11-26T07:00:00Z");
const MINUTE_MS = 60_000;

function spec(over: Partial<EntryAutoscalingSpec> = {}): EntryAutoscalingSpec {
  return {
    ...{ min: 2, max: 10, policies: [{ buffer: { freeConnections: "20%" } }] },
    scaleDown: { stabilization: "10m", maxPodsPerHour: 4 },
    ...over,
  };
}

function input(over: Partial<ScalingInput> = {}): ScalingInput {
  return {
    ...{ spec: spec(), current: 4, connectionsPerPod: 1_000, connections: 3_000, isComplete: true, isMoving: false },
    ...{ goneLately: 0, history: undefined, nowMs: START_MS },
    ...over,
  };
}

/** Decides every 30 s for so long, each time from what was decided before. */
function run(first: ScalingInput, minutes: number, change: Partial<ScalingInput> = {}): ScalingDecision & ScalingInput {
  let state = first;
  let decision = desiredReplicas(state);
  for (let passed = 0; passed < minutes * MINUTE_MS; passed += 30_000) {
    const nowMs = state.nowMs + 30_000;
    state = { ...state, ...change, current: decision.desired, history: decision.history, nowMs };
    decision = desiredReplicas(state);
  }
  return { ...state, ...decision };
}

describe("desiredReplicas: how many are needed", () => {
  const cases: [connections: number, free: number | string, needed: number][] = [
    [0, "0%", 1],
    [1_000, "0%", 1],
    [1_001, "0%", 2],
    [3_200, "20%", 4],
    [3_201, "20%", 5],
    [900, "90%", 9],
    [3_000, 1_000, 4],
    [3_001, 1_000, 5],
    [0, 0, 1],
    [850_000, "15%", 1_000],
  ];
  for (const [connections, freeConnections, needed] of cases) {
    it(`${needed} for ${connections} connections with ${freeConnections} free`, () => {
      const policies = [{ buffer: { freeConnections } }];
      assert.equal(desiredReplicas(input({ connections, spec: spec({ policies }) })).needed, needed);
    });
  }

  it("stays within min and max", () => {
    const many = desiredReplicas(input({ connections: 50_000 }));
    assert.deepEqual([many.desired, many.needed], [10, 63]);
    assert.equal(desiredReplicas(input({ current: 1, connections: 0 })).desired, 2, "a raised min counts at once");
    assert.equal(desiredReplicas(input({ current: 40, connections: 0 })).desired, 10, "so does a lowered max");
  });

  it("goes up at once, whatever moves or is unknown", () => {
    const decision = desiredReplicas(input({ connections: 6_000, isMoving: true, isComplete: false, goneLately: 99 }));
    assert.equal(decision.desired, 8);
  });
});

describe("desiredReplicas: schedules", () => {
  const busy = { cron: "0 8 * * *", duration: "2h", timezone: "UTC" };
  const policies = [{ schedule: busy, buffer: { freeConnections: "70%" } }, { buffer: { freeConnections: "20%" } }];
  const at = (text: string) => desiredReplicas(input({ spec: spec({ policies }), nowMs: Date.parse(text) })).needed;

  it("takes the first that is open, and the next one in time before it begins", () => {
    assert.equal(at("2026-11-26T07:00:00Z"), 4);
    assert.equal(AHEAD_MS, 300_000);
    assert.equal(at("2026-11-26T07:54:59Z"), 4);
    assert.equal(at("2026-11-26T07:55:00Z"), 10, "five minutes before");
    assert.equal(at("2026-11-26T09:59:59Z"), 10);
    assert.equal(at("2026-11-26T10:00:00Z"), 4);
  });

  it("keeps the number when none fits", () => {
    const only = spec({ policies: [{ schedule: busy, buffer: { freeConnections: "70%" } }] });
    const decision = run(input({ spec: only, connections: 0, current: 7 }), 30);
    assert.deepEqual([decision.desired, decision.needed], [7, undefined]);
  });

  it("passes over one that is faulty, and says so", () => {
    const faulty = { schedule: { ...busy, timezone: "Mars/Olympus" }, buffer: { freeConnections: "90%" } };
    const decision = desiredReplicas(input({ spec: spec({ policies: [faulty, ...policies] }) }));
    assert.equal(decision.needed, 4);
    assert.match(decision.faults.join(), /policies\[0\]\.schedule never counts: "Mars\/Olympus" is no time zone/);
    assert.equal(decision.faults.length, 1);
  });
});

describe("desiredReplicas: fewer", () => {
  const quiet = { connections: 800 };

  it("only after fewer were enough for the whole stabilisation", () => {
    const first = input({ current: 4 });
    assert.equal(run(first, 9, quiet).desired, 4, "9 minutes after the beginning nothing is known of the 10th");
    const later = run(first, 30);
    assert.equal(later.desired, 4, "3,000 connections need them");
    assert.equal(run(later, 9, quiet).desired, 4);
    assert.equal(run(later, 12, quiet).desired, 2);
  });

  it("of a peak of just as long ago nothing is left, remembered or not", () => {
    const peak = desiredReplicas(input({ connections: 6_000 }));
    const end = input({ ...quiet, current: peak.desired, nowMs: START_MS + 10 * MINUTE_MS });
    const known = { sinceMs: START_MS, lastMs: end.nowMs - 1 };
    const remembered = desiredReplicas({ ...end, history: { ...peak.history, ...known } });
    const forgotten = desiredReplicas({ ...end, history: { ...known, peaks: [], downs: [] } });
    assert.deepEqual([remembered.desired, forgotten.desired], [6, 6]);
  });

  it("begins to wait anew after a peak", () => {
    const waiting = run(run(input(), 30), 9, quiet);
    const peak = desiredReplicas({ ...waiting, nowMs: waiting.nowMs + 30_000, connections: 3_000 });
    const after = { ...waiting, history: peak.history, nowMs: waiting.nowMs + 30_000 };
    assert.equal(run(after, 9, quiet).desired, 4);
    assert.equal(run(after, 12, quiet).desired, 2);
  });

  it("a quarter at a time, and no further step while something moves", () => {
    const big = run(input({ current: 10, connections: 7_500 }), 12);
    const spec20 = spec({ scaleDown: { stabilization: "10m", maxPodsPerHour: 200 } });
    const step = run({ ...big, spec: spec20 }, 0);
    assert.equal(step.desired, 10);
    let state = run({ ...big, spec: spec20 }, 9.5, quiet);
    const seen = new Set<number>([state.desired]);
    for (let pass = 0; pass < 20; pass++) {
      state = run(state, 0.5, quiet);
      seen.add(state.desired);
    }
    assert.deepEqual([...seen], [10, 7, 5, 3, 2]);
    const moving = run({ ...big, spec: spec20 }, 60, { ...quiet, isMoving: true });
    assert.equal(moving.desired, 10);
  });

  it("not faster than the spec allows in an hour, also across a restart of the operator", () => {
    const slow = spec({ scaleDown: { stabilization: "0s", maxPodsPerHour: 2 } });
    const first = input({ spec: slow, current: 10, ...quiet });
    const hour = run(first, 59);
    assert.equal(hour.desired, 8);
    assert.equal(run(first, 62).desired, 6);
    const restarted = run({ ...hour, history: undefined, goneLately: 2 }, 30);
    assert.equal(restarted.desired, 8, "what the status tells counts");
  });

  it("not while an entry does not answer, nor after nothing was known for a while", () => {
    const before = run(input({ current: 6 }), 30);
    assert.equal(before.desired, 4);
    assert.equal(run(before, 30, { ...quiet, isComplete: false }).desired, 4);
    const gap = { ...before, nowMs: before.nowMs + GAP_MS + 1 };
    assert.equal(run(gap, 9, quiet).desired, 4, "the gap might have been a peak");
    assert.equal(run(gap, 11, quiet).desired, 2);
    const back = { ...before, nowMs: before.nowMs - 3_600_000 };
    assert.equal(run(back, 9, quiet).desired, 4, "nor when the clock was set back");
  });
});
