// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ImCluster } from "../api/v1alpha1.ts";
import { previewPlan } from "./preview.ts";
import { sampleCluster } from "./testing/sample.ts";

const pods = (sessions: number[]) =>
  sessions.map((count, index) => ({ uid: `u${index}`, name: `p${index}`, state: "Ready", sessions: count }));

/** A cluster of `sessions.length` entries. */
function running(sessions: number[]): ImCluster {
  const cluster = sampleCluster({ entry: { replicas: sessions.length } });
  const total = sessions.reduce((sum, count) => sum + count, 0);
  return {
    ...cluster,
    status: {
      ...{ image: "registry.example/imcluster:0.1.0", version: "0.1.0", pods: pods(sessions).slice(0, 50) },
      entry: { replicas: sessions.length, sessions: total },
    },
  };
}

const preview = (from: ImCluster, entry: object, spec: object = {}) =>
  previewPlan(from, sampleCluster({ ...spec, entry: { replicas: from.spec.entry.replicas, ...entry } }).spec);

describe("previewPlan", () => {
  const calm = running([1_000, 3_000, 2_000, 500]);

  it("says nothing of a change that changes nothing", () => {
    assert.deepEqual(preview(calm, {}), {
      ...{ changes: [], sessionsAffected: 0, estimatedSeconds: 0, peakReconnectsPerSecond: 0, needsApproval: false },
    });
    assert.deepEqual(preview(calm, { update: { strategy: "Batched" } }).changes, []);
  });

  it("counts who reconnects by a new revision, how fast and how long", () => {
    const found = preview(calm, { maxConnectionsPerPod: 30_000 });
    assert.deepEqual(found, {
      changes: ["entries: 4 are replaced (BlueGreen)"],
      // One start, 2.5 s until all are closed, four drains of 5 s, 2 s at the end; 3,000 of the fullest in 5 s.
      ...{ sessionsAffected: 6_500, estimatedSeconds: 34, peakReconnectsPerSecond: 600, needsApproval: false },
    });
  });

  it("counts what a pause has held back when the pause ends", () => {
    const plan = {
      ...{ changes: ["4 entries of another revision to replace"], sessionsAffected: 6_500, estimatedSeconds: 50 },
      ...{ peakReconnectsPerSecond: 600, needsApproval: false },
    };
    const paused = { ...calm, spec: { ...calm.spec, paused: true }, status: { ...calm.status, plan } };
    const resumed = preview(paused, {});
    const { sessionsAffected, estimatedSeconds, peakReconnectsPerSecond } = resumed;
    assert.deepEqual([sessionsAffected, estimatedSeconds, peakReconnectsPerSecond], [6_500, 50, 600]);
    assert.deepEqual(resumed.changes, ["held back by the pause: 4 entries of another revision to replace"]);
    assert.equal(preview(paused, { replicas: 2 }).sessionsAffected, 6_500, "those that go are among them");
    assert.equal(preview(paused, {}, { paused: true }).sessionsAffected, 0, "it goes on");
    const { plan: _, ...unplanned } = paused.status;
    assert.equal(preview({ ...paused, status: unplanned }, {}).sessionsAffected, 0, "nothing was asked for");
    const annotated = { "imcluster.io/paused": "true" };
    const twice = { ...paused, metadata: { ...paused.metadata, annotations: annotated } };
    assert.equal(preview(twice, {}).sessionsAffected, 0, "it is paused in another way, too");
  });

  it("counts those of the emptiest when fewer are wanted", () => {
    const found = preview(calm, { replicas: 2 });
    assert.deepEqual([found.changes, found.sessionsAffected], [["entries: 4 become 2"], 1_500]);
    assert.deepEqual(preview(calm, { replicas: 6 }).sessionsAffected, 0);
  });

  it("names what else changes", () => {
    const found = preview(calm, {}, { version: "0.2.0" });
    assert.deepEqual(found.changes, [
      "the database is migrated first",
      "logic: 2 pods roll; connections stay",
      "extlogic: 1 pod rolls",
      "entries: 4 are replaced (BlueGreen)",
    ]);
    assert.deepEqual(preview(calm, {}, { logic: { replicas: 3 } }).changes, ["logic: 3 pods"]);
    assert.match(preview(calm, {}, { paused: true }).changes.join(), /nothing happens while spec\.paused/);
    assert.deepEqual(preview(calm, { service: { type: "NodePort" } }).changes, ["the Service of the entries changes"]);
  });

  it("moves nobody with OnDelete", () => {
    const found = preview(calm, { maxConnectionsPerPod: 30_000, update: { strategy: "OnDelete" } });
    assert.deepEqual([found.sessionsAffected, found.needsApproval], [0, false]);
    assert.match(found.changes.join(), /when its pod is deleted/);
  });

  it("adds the soak of a canary, and says whether somebody must agree", () => {
    const update = { canary: { soak: "10m" }, approval: { mode: "Manual", manualAboveSessions: 6_000 } };
    const found = preview(calm, { maxConnectionsPerPod: 30_000, update });
    assert.deepEqual([found.estimatedSeconds, found.needsApproval], [634, true]);
    const few = { ...update, approval: { mode: "Manual", manualAboveSessions: 6_500 } };
    assert.equal(preview(calm, { maxConnectionsPerPod: 30_000, update: few }).needsApproval, false);
  });

  it("counts entries that the status does not name as full as the others", () => {
    const large = running(Array.from({ length: 80 }, () => 100));
    assert.equal(preview(large, { maxConnectionsPerPod: 30_000 }).sessionsAffected, 8_000);
  });

  it("says something of a cluster that has no status yet", () => {
    const found = previewPlan(sampleCluster(), sampleCluster({ version: "0.2.0" }).spec);
    assert.equal(found.sessionsAffected, 0);
  });
});
