// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Metrics } from "#lib/metrics.ts";
import type { ImCluster, ImClusterStatus } from "./api/v1alpha1.ts";
import { createClusterMetrics, observeGenerations } from "./cluster-metrics.ts";
import type { DrainIntent, DrainReport } from "./imcluster/drain.ts";

const OF = 'namespace="shop",name="demo"';

function clusterAt(generation: number, seen: number, name = "demo"): ImCluster {
  return {
    metadata: { namespace: "shop", name, generation },
    spec: { entry: { replicas: 3 } },
    status: { observedGeneration: seen },
  } as unknown as ImCluster;
}

const STATUS = {
  phase: "Updating",
  entry: { ready: 2, draining: 1, sessions: 40 },
  logic: { replicas: 2, ready: 1, summary: "1/2" },
  extlogic: { replicas: 1, ready: 0, summary: "0/1" },
  conditions: [
    { type: "UpdateBlocked", status: "True", reason: "NoRoom", message: "" },
    { type: "DataPlaneSafe", status: "Unknown", reason: "NotSeen", message: "" },
  ],
} as ImClusterStatus;

function drain(report?: Partial<DrainReport>): DrainIntent {
  const intent = { id: "d", reason: "Update", phase: "Released", startedAt: "", deadline: "" } as const;
  return report ? { ...intent, report: { initial: 9, asked: 9, forced: 0, ...report } } : intent;
}

/** Samples that begin so. */
async function samples(metrics: Metrics, start: string): Promise<string[]> {
  return (await metrics.render()).split("\n").filter((line) => line.startsWith(start));
}

describe("what the operator tells of an ImCluster", () => {
  it("is how many pods of each kind are wanted and ready, its phase and its conditions", async () => {
    const metrics = new Metrics();
    createClusterMetrics(metrics).onStatus(clusterAt(1, 1), STATUS);
    for (const line of [
      `im_cluster_entries{${OF},state="wanted"} 3`,
      `im_cluster_entries{${OF},state="ready"} 2`,
      `im_cluster_logic{${OF},state="wanted"} 2`,
      `im_cluster_logic{${OF},state="ready"} 1`,
      `im_cluster_extlogic{${OF},state="wanted"} 1`,
      `im_cluster_extlogic{${OF},state="ready"} 0`,
      `im_cluster_phase{${OF},phase="Updating"} 1`,
      `im_cluster_phase{${OF},phase="Ready"} 0`,
      `im_cluster_condition{${OF},condition="UpdateBlocked"} 1`,
      `im_cluster_condition{${OF},condition="DataPlaneSafe"} 0`,
      `im_cluster_update_blocked{${OF},reason="NoRoom"} 1`,
      `im_cluster_update_blocked{${OF},reason="OutsideWindow"} 0`,
      `im_cluster_sessions{${OF}} 40`,
    ]) {
      assert.deepEqual(await samples(metrics, line), [line]);
    }
  });

  it("has the series of drains before the first drain, so that the first is seen to be one more", async () => {
    const metrics = new Metrics();
    const told = createClusterMetrics(metrics);
    told.onStatus(clusterAt(1, 1), STATUS);
    const left = `im_operator_drain_routes_left_total{${OF}}`;
    const ended = `im_operator_drains_total{${OF},reason="Update"}`;
    const within = `im_operator_drain_offline_seconds_bucket{le="5",${OF}}`;
    for (const series of [left, ended, within]) assert.deepEqual(await samples(metrics, series), [`${series} 0`]);
    told.onDrained(clusterAt(1, 1), drain({ returned: 8, absent: 1, offlineP99Ms: 800, routesLeft: 2 }));
    // Later passes begin nothing anew.
    told.onStatus(clusterAt(1, 1), STATUS);
    assert.deepEqual(await samples(metrics, left), [`${left} 2`]);
    for (const series of [ended, within]) assert.deepEqual(await samples(metrics, series), [`${series} 1`]);
    const outcome = `im_operator_drained_sessions_total{${OF},outcome="returned"}`;
    assert.deepEqual(await samples(metrics, outcome), [`${outcome} 8`]);
  });

  it("goes with it", async () => {
    const metrics = new Metrics();
    const told = createClusterMetrics(metrics);
    told.onStatus(clusterAt(1, 1), STATUS);
    told.onDrained(clusterAt(1, 1), drain({ returned: 1, offlineP99Ms: 1 }));
    told.onGhosts(clusterAt(1, 1), 3);
    told.onStatus(clusterAt(1, 1), undefined);
    assert.doesNotMatch(await metrics.render(), /name="demo"/);
  });

  it("is how far the status is behind the spec, as the API server has them", async () => {
    const metrics = new Metrics();
    let clusters = [clusterAt(7, 5), clusterAt(2, 2, "other")];
    observeGenerations(metrics, () => clusters);
    assert.deepEqual(await samples(metrics, "im_cluster_generation_lag{"), [
      `im_cluster_generation_lag{${OF}} 2`,
      'im_cluster_generation_lag{namespace="shop",name="other"} 0',
    ]);
    clusters = [clusterAt(7, 7)];
    assert.deepEqual(await samples(metrics, "im_cluster_generation_lag{"), [`im_cluster_generation_lag{${OF}} 0`]);
  });
});
