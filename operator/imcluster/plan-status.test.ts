// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { budgetLimits } from "./drain-limits.ts";
import type { EntryPlanInput } from "./entry-plan.ts";
import type { ObservedEntry } from "./observed.ts";
import { remainingWork } from "./plan-status.ts";
import { NOW_MS, sampleCluster } from "./testing/sample.ts";
import { many, sampleEntry } from "./testing/sample-entry.ts";
import type { Gate } from "./update-gate.ts";

const open: Gate = { stage: { kind: "open" }, record: undefined, blockade: undefined };

function work(entries: readonly ObservedEntry[], update: object = {}, gate: Gate = open) {
  const cluster = sampleCluster({ entry: { update } });
  const input: EntryPlanInput = {
    ...{ replicas: 3, revision: "new", entries, createBlocked: undefined, createNotBeforeMs: 0, hasLogic: true },
    update: { strategy: "BlueGreen", batch: 1, maxConnectionsPerPod: 100 },
    ...{
      stage: gate.stage,
      drain: { windowMs: 5_000, deadlineMs: 20_000, onDeadline: "Force", lbDetachMs: 2_000 },
      nowMs: NOW_MS,
    },
  };
  return remainingWork(input, gate, { update: cluster.spec.entry.update, budget: budgetLimits(cluster) });
}
const plan = (...given: Parameters<typeof work>) => work(...given).plan;

const old = many(3, "o", { revision: "old" });

describe("remainingWork", () => {
  it("is none when everything is as wanted, or only deleting pods could change it", () => {
    assert.equal(plan(many(3, "n")), undefined);
    assert.equal(plan(old, { strategy: "OnDelete" }), undefined);
  });

  it("counts down", () => {
    assert.deepEqual(plan(old), {
      changes: ["3 entries of another revision to replace", "3 entries to make"],
      ...{ sessionsAffected: 30, estimatedSeconds: 30, peakReconnectsPerSecond: 2, needsApproval: false },
    });
    const leaving = sampleEntry({ name: "l", revision: "old", drain: { phase: "Draining" } });
    // Past its deadline.
    assert.deepEqual(plan([...many(3, "n"), leaving]), {
      changes: ["1 entry to drain"],
      ...{ sessionsAffected: 10, estimatedSeconds: 2, peakReconnectsPerSecond: 10, needsApproval: false },
    });
  });

  it("counts whom somebody wants away, not any other", () => {
    const pods = [sampleEntry({ name: "a", sessions: 7 }), ...many(3, "n")];
    const [first] = pods;
    const wanted = first && { ...first, cause: "Manual" as const };
    const { plan: found, etaSeconds } = work([...(wanted ? [wanted] : []), ...pods.slice(1)]);
    assert.deepEqual([found?.changes, found?.sessionsAffected], [["1 entry to drain"], 7]);
    assert.deepEqual([...etaSeconds], [["uid-a", 10]]);
    const surplus = plan([sampleEntry({ name: "full", sessions: 90 }), ...many(3, "n")]);
    assert.equal(surplus?.sessionsAffected, 10, "the emptiest goes");
  });

  it("says of each that leaves how long it takes", () => {
    const { etaSeconds } = work([...many(3, "n"), sampleEntry({ name: "l", drain: { phase: "Verifying" } }), ...old]);
    assert.deepEqual([...etaSeconds.keys()], ["uid-l", "uid-o0", "uid-o1", "uid-o2"]);
    const [first = 0, ...others] = etaSeconds.values();
    assert.ok(first <= 1 && others.every((seconds) => seconds >= 9), `${first}, ${others}`);
  });

  it("counts entries that are too many or missing", () => {
    assert.deepEqual(plan(many(5, "n"))?.changes, ["2 entries to drain"]);
    assert.deepEqual(plan(many(5, "n"))?.sessionsAffected, 20);
    assert.deepEqual(plan(many(1, "n"))?.changes, ["2 entries to make"]);
  });

  it("adds what is left of a soak, and says that a person must agree", () => {
    const update = { canary: { soak: "10m" } };
    const at = (phase: string, agoMs: number): Gate => {
      const since = new Date(NOW_MS - agoMs).toISOString();
      return { ...open, record: { revision: "new", phase, startedAt: since, since } };
    };
    const seconds = (gate: Gate) => (plan(old, update, gate)?.estimatedSeconds ?? 0) - 30;
    assert.deepEqual(
      [seconds(at("Waiting", 0)), seconds(at("Canary", 500_000)), seconds(at("RollingOut", 0))],
      [600, 600, 0],
    );
    assert.deepEqual([seconds(at("Soaking", 301_000)), seconds(at("Soaking", 700_000))], [300, 0]);
    const blockade = { reason: "ApprovalNeeded" as const, message: "" };
    assert.equal(plan(old, {}, { ...open, blockade })?.needsApproval, true);
  });
});
