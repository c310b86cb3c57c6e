// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { EntryPlanInput } from "./entry-plan.ts";
import type { ObservedEntry } from "./observed.ts";
import { remainingPlan } from "./plan-status.ts";
import { NOW_MS, sampleCluster } from "./testing/sample.ts";
import { many, sampleEntry } from "./testing/sample-entry.ts";
import type { Gate } from "./update-gate.ts";

const open: Gate = { stage: { kind: "open" }, record: undefined, blockade: undefined };

function plan(entries: readonly ObservedEntry[], update: object = {}, gate: Gate = open) {
  const spec = sampleCluster({ entry: { update } }).spec.entry;
  const input: EntryPlanInput = {
    ...{ replicas: 3, revision: "new", entries, createBlocked: undefined, createNotBeforeMs: 0, hasLogic: true },
    update: { strategy: "BlueGreen", batch: 1, maxConnectionsPerPod: 100 },
    ...{
      stage: gate.stage,
      drain: { windowMs: 5_000, deadlineMs: 20_000, onDeadline: "Force", lbDetachMs: 2_000 },
      nowMs: NOW_MS,
    },
  };
  return remainingPlan(input, gate, spec);
}

const old = many(3, "o", { revision: "old" });

describe("remainingPlan", () => {
  it("is none when everything is as wanted, or only deleting pods could change it", () => {
    assert.equal(plan(many(3, "n")), undefined);
    assert.equal(plan(old, { strategy: "OnDelete" }), undefined);
  });

  it("counts down", () => {
    assert.deepEqual(plan(old), {
      changes: ["3 entries of another revision to replace", "3 entries to make"],
      ...{ sessionsAffected: 30, estimatedSeconds: 40, peakReconnectsPerSecond: 2, needsApproval: false },
    });
    const leaving = sampleEntry({ name: "l", revision: "old", drain: { phase: "Draining" } });
    assert.deepEqual(plan([...many(3, "n"), leaving]), {
      changes: ["1 entry to drain"],
      ...{ sessionsAffected: 10, estimatedSeconds: 10, peakReconnectsPerSecond: 2, needsApproval: false },
    });
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
    const seconds = (gate: Gate) => (plan(old, update, gate)?.estimatedSeconds ?? 0) - 40;
    assert.deepEqual(
      [seconds(at("Waiting", 0)), seconds(at("Canary", 500_000)), seconds(at("RollingOut", 0))],
      [600, 600, 0],
    );
    assert.deepEqual([seconds(at("Soaking", 301_000)), seconds(at("Soaking", 700_000))], [300, 0]);
    const blockade = { reason: "ApprovalNeeded" as const, message: "" };
    assert.equal(plan(old, {}, { ...open, blockade })?.needsApproval, true);
  });
});
