// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { silentLogger } from "#lib/logger.ts";
import type { ImCluster } from "../api/v1alpha1.ts";
import { sampleCluster } from "../imcluster/testing/sample.ts";
import type { Review } from "./review.ts";
import { UpdateAdviser, updateWarnings } from "./update-warnings.ts";

/** A cluster of entries with so many sessions each. */
function running(sessions: number[], spec: object = {}): ImCluster {
  const cluster = sampleCluster({ ...spec, entry: { replicas: sessions.length } });
  const pods = sessions.map((count, at) => ({ uid: `u${at}`, name: `p${at}`, state: "Ready", sessions: count }));
  const total = sessions.reduce((sum, count) => sum + count, 0);
  const entry = { replicas: sessions.length, sessions: total };
  return { ...cluster, status: { image: "registry.example/imcluster:0.1.0", version: "0.1.0", pods, entry } };
}

const calm = running([1_000, 3_000, 2_000, 500]);
const edited = (entry: object, spec: object = {}) => sampleCluster({ ...spec, entry: { replicas: 4, ...entry } }).spec;

describe("updateWarnings", () => {
  it("says how many reconnect, how long and how fast", () => {
    assert.deepEqual(updateWarnings(calm, edited({ maxConnectionsPerPod: 30_000 })), [
      "6,500 sessions will reconnect within about 34 s, at most 600 per second",
    ]);
    assert.deepEqual(
      updateWarnings(running([0, 1]), sampleCluster({ version: "0.2.0", entry: { replicas: 2 } }).spec),
      ["1 session will reconnect within about 20 s, at most 1 per second"],
    );
    const slow = edited({ replicas: 2, drain: { window: "10m", deadline: "20m" } });
    assert.match(updateWarnings(calm, slow).join(), /within about 40 min/);
    const canary = { maxConnectionsPerPod: 30_000, update: { canary: { soak: "24h" } } };
    assert.match(updateWarnings(calm, edited(canary)).join(), /within about 24 h/);
  });

  it("says nothing when nobody has to move", () => {
    for (const spec of [edited({}), edited({ replicas: 6 }), edited({}, { logic: { replicas: 5 } })])
      assert.deepEqual(updateWarnings(calm, spec), []);
    const deleted = { ...calm, metadata: { ...calm.metadata, deletionTimestamp: "2026-11-24T10:00:00Z" } };
    assert.deepEqual(updateWarnings(deleted, edited({ replicas: 1 })), []);
  });

  it("says nothing when nobody knows how many there are", () => {
    const { status: _, ...unseen } = calm;
    const pods = calm.status?.pods?.map(({ sessions: _unknown, ...pod }) => pod) ?? [];
    for (const status of [{}, { pods }, { pods: [] }, { entry: { replicas: 4 } }])
      assert.deepEqual(updateWarnings({ ...unseen, status } as ImCluster, edited({ replicas: 1 })), []);
    assert.deepEqual(updateWarnings(unseen, edited({ replicas: 1 })), []);
  });

  it("says what it waits for", () => {
    const update = { approval: { mode: "Manual", manualAboveSessions: 100 } };
    const waits = updateWarnings(calm, edited({ maxConnectionsPerPod: 30_000, update }));
    assert.match(waits[1] ?? "", /until a person approves/);
    const paused = updateWarnings(calm, edited({ maxConnectionsPerPod: 30_000 }, { paused: true }));
    assert.match(paused[1] ?? "", /while the ImCluster is paused/);
  });

  it("says what begins with the end of a pause", () => {
    const plan = {
      ...{ changes: ["4 entries of another revision to replace"], sessionsAffected: 6_500, estimatedSeconds: 50 },
      ...{ peakReconnectsPerSecond: 600, needsApproval: true },
    };
    const paused = { ...calm, spec: edited({}, { paused: true }), status: { ...calm.status, plan } };
    assert.deepEqual(updateWarnings(paused, edited({})), [
      "6,500 sessions will reconnect within about 50 s, at most 600 per second",
      "the update waits until a person approves it: see spec.entry.update.approval",
    ]);
    assert.deepEqual(updateWarnings(paused, edited({}, { paused: true })), []);
  });

  it("says that nobody can come back to a cluster without entries", () => {
    for (const spec of [edited({}, { hibernate: true }), edited({}, { fencedEntries: ["*"] })])
      assert.match(updateWarnings(calm, spec).join(), /^6,500 sessions will be closed, and cannot come back/);
  });

  it("stays short: the API server cuts a warning after 256 characters", () => {
    const huge = running(Array.from({ length: 200 }, () => 1_000_000));
    const update = { canary: { soak: "24h" }, approval: { mode: "Manual", manualAboveSessions: 1 } };
    const spec = sampleCluster({ version: "0.2.0", paused: true, entry: { replicas: 200, update } }).spec;
    const warnings = updateWarnings(huge, spec);
    assert.equal(warnings.length, 3);
    for (const one of warnings) assert.ok(one.length <= 120, one);
  });
});

describe("UpdateAdviser", () => {
  const adviser = new UpdateAdviser(
    { cluster: (namespace, name) => (`${namespace}/${name}` === "shop/demo" ? calm : undefined) },
    silentLogger,
  );
  const review = (more: Partial<Review>): Review => ({
    ...{ uid: "q", namespace: "shop", name: "demo", subResource: "", isDryRun: false },
    ...{ object: undefined, oldObject: undefined, ...more },
  });
  const SMALLER = ["1,500 sessions will reconnect within about 19 s, at most 234 per second"];

  it("compares the objects of an update", () => {
    const object = { ...calm, spec: edited({ replicas: 2 }) };
    assert.deepEqual(adviser.advise(review({ object, oldObject: calm })), { warnings: SMALLER });
    assert.deepEqual(adviser.advise(review({ object: calm, oldObject: calm })), { warnings: [] });
  });

  it("takes the object of a scale from what the operator knows", () => {
    const scale = (replicas: unknown, name = "demo") =>
      adviser.advise(review({ name, subResource: "scale", object: { kind: "Scale", spec: { replicas } } }));
    assert.deepEqual(scale(2), { warnings: SMALLER });
    for (const found of [scale(6), scale("2"), scale(undefined), scale(1, "other")])
      assert.deepEqual(found, { warnings: [] });
  });

  it("leaves reviews of anything else", () => {
    assert.equal(adviser.advise(review({ subResource: "status" })), undefined);
  });

  it("allows without a word what it cannot read", () => {
    const odd = [null, undefined, 5, "x", [], {}, { spec: null }, { metadata: {}, spec: {} }, { spec: { entry: 5 } }];
    for (const object of odd)
      for (const oldObject of [...odd, calm]) {
        const verdict = adviser.advise(review({ object, oldObject }));
        assert.deepEqual([verdict?.refusal, verdict?.warnings ?? []], [undefined, []]);
        const scaled = adviser.advise(review({ subResource: "scale", object, oldObject }));
        assert.deepEqual(scaled?.warnings ?? [], []);
      }
  });
});
