// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ImCluster } from "../api/v1alpha1.ts";
import type { Pod } from "../kube/types.ts";
import { newIntent } from "./drain.ts";
import { ANNOTATION } from "./names.ts";
import { type ObservedEntry, observeEntry } from "./observed.ts";
import { entryPod } from "./resources/entry-pod.ts";
import { NOW_MS, readyPod, sampleCluster, sampleContext, stored } from "./testing/sample.ts";
import { decideScale, freeConnectionsPercent, isFenced, isPaused, wantedEntries } from "./wanted.ts";

const autoscaling = { min: 2, max: 20 };

function clusterOf(over: { spec?: object; status?: ImCluster["status"]; annotations?: Record<string, string> } = {}) {
  const cluster = sampleCluster({ entry: { autoscaling, maxConnectionsPerPod: 1_000 }, ...over.spec });
  const { annotations = {}, status } = over;
  return { ...cluster, metadata: { ...cluster.metadata, annotations }, ...(status ? { status } : {}) };
}

interface Made {
  connections?: number | undefined;
  isReady?: boolean;
  isLeaving?: boolean;
  phase?: "Failed";
  revision?: string;
}

function entriesOf(made: readonly Made[], cluster = clusterOf()): ObservedEntry[] {
  return made.map(({ connections, isReady = true, isLeaving = false, phase, revision }, index) => {
    const pod: Pod = readyPod(stored(entryPod(sampleContext(cluster), `p${index}`)), isReady);
    const intent = newIntent("d", "ScaleDown", "Draining", NOW_MS);
    if (isLeaving) pod.metadata.annotations = { [ANNOTATION.drain]: JSON.stringify(intent) };
    if (phase) pod.status = { ...pod.status, phase };
    const probe =
      connections === undefined ? undefined : { connections, sessions: 0, cordoned: false, draining: false, atMs: 0 };
    const entry = observeEntry(pod, { ownerUid: "cluster-uid", probe, isPurged: false, nowMs: NOW_MS });
    return { ...entry, revision: revision ?? "now" };
  });
}

const decide = (cluster: ImCluster, entries: ObservedEntry[]) =>
  decideScale(cluster, entries, "now", undefined, NOW_MS);

describe("wantedEntries", () => {
  it("is spec.entry.replicas without autoscaling, and what was decided with it", () => {
    const plain = sampleCluster({ entry: { replicas: 7 } });
    assert.equal(decide(plain, []), undefined);
    assert.equal(wantedEntries({ cluster: plain }), 7);
    const cluster = clusterOf();
    assert.equal(wantedEntries({ cluster, scaling: decide(cluster, entriesOf([{ connections: 9_000 }])) }), 11);
  });

  it("is none while the cluster hibernates or all of it is fenced, whatever was decided", () => {
    for (const spec of [{ hibernate: true }, { fencedEntries: ["*"] }]) {
      const cluster = clusterOf({ spec });
      assert.equal(wantedEntries({ cluster, scaling: decide(cluster, []) }), 0);
    }
    assert.equal(wantedEntries({ cluster: sampleCluster({ fencedEntries: ["demo-entry-x"] }) }), 3);
  });

  it("fences by name or all", () => {
    assert.equal(isFenced(sampleCluster({ fencedEntries: ["a", "b"] }), "b"), true);
    assert.equal(isFenced(sampleCluster({ fencedEntries: ["a", "b"] }), "c"), false);
    assert.equal(isFenced(sampleCluster({ fencedEntries: ["*"] }), "c"), true);
    assert.equal(isFenced(sampleCluster(), "c"), false);
  });

  it("is paused by the spec or by the annotation", () => {
    assert.equal(isPaused(clusterOf()), false);
    assert.equal(isPaused(clusterOf({ spec: { paused: true } })), true);
    assert.equal(isPaused(clusterOf({ annotations: { "imcluster.io/paused": "true" } })), true);
    assert.equal(isPaused(clusterOf({ annotations: { "imcluster.io/paused": "no" } })), false);
  });
});

describe("decideScale", () => {
  it("counts connections of entries that leave, but not their room", () => {
    const entries = entriesOf([{ connections: 600 }, { connections: 600 }, { connections: 900, isLeaving: true }]);
    assert.equal(decide(clusterOf(), entries)?.desired, 3);
    assert.equal(freeConnectionsPercent(clusterOf(), entries), 0, "2,100 for 2 entries");
  });

  it("does not count the dead", () => {
    const entries = entriesOf([{ connections: 600 }, { connections: 900, phase: "Failed" }]);
    assert.equal(decide(clusterOf(), entries)?.needed, 1);
    assert.equal(freeConnectionsPercent(clusterOf(), entries), 40);
  });

  it("goes on from what was wanted last, or from what runs when that is forgotten", () => {
    const many = entriesOf(Array.from({ length: 9 }, () => ({ connections: 10 })));
    assert.equal(decide(clusterOf({ status: { autoscaling: { desired: 6 } } }), many)?.desired, 6);
    assert.equal(decide(clusterOf(), many)?.desired, 9, "and does not fall to spec.entry.replicas");
    assert.equal(decide(clusterOf(), [])?.desired, 3, "a new cluster begins with spec.entry.replicas");
  });

  it("keeps the number while it rests", () => {
    for (const spec of [{ hibernate: true }, { paused: true }]) {
      const cluster = clusterOf({ spec, status: { autoscaling: { desired: 9 } } });
      const slept = { ...autoscaling, scaleDown: { stabilization: "0s", maxPodsPerHour: 200 } };
      cluster.spec.entry.autoscaling = { policies: [{ buffer: { freeConnections: "15%" } }], ...slept };
      assert.equal(decide(cluster, [])?.desired, 9);
      assert.equal(wantedEntries({ cluster, scaling: decide(cluster, []) }), spec.hibernate ? 0 : 9);
    }
  });

  const fast = { ...autoscaling, scaleDown: { stabilization: "0s", maxPodsPerHour: 200 } };
  const waits: [why: string, change: Partial<Made>, status?: ImCluster["status"]][] = [
    ["one does not answer", { connections: undefined }],
    ["one leaves", { isLeaving: true }],
    ["one is not ready", { isReady: false }],
    ["one is of an old revision", { revision: "before" }],
    ["there are more than wanted", {}, { autoscaling: { desired: 3 } }],
    ["there are fewer than wanted", {}, { autoscaling: { desired: 5 } }],
  ];
  for (const [why, change, status = { autoscaling: { desired: 4 } }] of waits) {
    it(`lets none go while ${why}`, () => {
      const cluster = clusterOf({ spec: { entry: { autoscaling: fast, maxConnectionsPerPod: 1_000 } }, status });
      const still = entriesOf([{ connections: 10 }, { connections: 10 }, { connections: 10 }, { connections: 10 }]);
      const [first] = still;
      assert.ok(first);
      const four = clusterOf({
        spec: { entry: { autoscaling: fast, maxConnectionsPerPod: 1_000 } },
        status: { autoscaling: { desired: 4 } },
      });
      assert.equal(decide(four, still)?.desired, 3, "it would go otherwise");
      const moving = [...still.slice(1), ...entriesOf([{ connections: 10, ...change }])];
      assert.equal(decide(cluster, moving)?.desired, status?.autoscaling?.desired);
    });
  }

  it("reads from the status how many went within the hour", () => {
    const spec = { entry: { autoscaling: { ...fast, scaleDown: { ...fast.scaleDown, maxPodsPerHour: 2 } } } };
    const drain = (minutes: number, reason: string, phase = "Released") => ({
      ...{ id: `${minutes}-${reason}`, pod: "p", phase, reason },
      startedAt: new Date(NOW_MS - minutes * 60_000).toISOString(),
    });
    const still = entriesOf(Array.from({ length: 6 }, () => ({ connections: 0 })));
    const after = (...drains: ReturnType<typeof drain>[]) =>
      decide(clusterOf({ spec, status: { autoscaling: { desired: 6 }, drains } }), still)?.desired;
    assert.equal(after(), 4);
    assert.equal(after(drain(59, "ScaleDown"), drain(5, "Update"), drain(61, "ScaleDown")), 5);
    assert.equal(after(drain(59, "ScaleDown"), drain(5, "ScaleDown")), 6);
    assert.equal(
      after(drain(59, "ScaleDown"), drain(5, "ScaleDown", "Aborted")),
      5,
      "one that was called off is there",
    );
  });
});
