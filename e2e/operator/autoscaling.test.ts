// SPDX-License-Identifier: Apache-2.0
// Autoscaling and the scale subresource, with a real API server.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { IM_CLUSTER } from "../../operator/api/resource.ts";
import type { ImCluster } from "../../operator/api/v1alpha1.ts";
import { POD_DISRUPTION_BUDGETS, PODS, type Pod, SERVICES } from "../../operator/kube/types.ts";
import { Bench, conditionOf, withCluster } from "./support/bench.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";

let server: ImApiServer;
before(async () => {
  server = await startImApiServer();
});
after(() => server?.stop());

/** Every step waits for a poll of the entries at the latest. */
const WAIT_MS = 110_000;

/** @param connections on each entry at first */
const withSessions = (spec: object, connections: number, body: (bench: Bench) => Promise<void>) =>
  withCluster(server, spec, body, { connections });

const namesOf = (pods: readonly Pod[]) => pods.map(({ metadata }) => metadata.name).sort();

async function setConnections(bench: Bench, connections: number): Promise<void> {
  bench.fleet.connectionsOf = () => connections;
  for (const pod of await bench.entryPods()) bench.fleet.setConnections(pod, connections);
}

const scaledTo = (count: number) => (cluster: ImCluster) =>
  cluster.status?.autoscaling?.desired === count &&
  cluster.status.entry?.ready === count &&
  cluster.status.entry.draining === 0;

describe("autoscaling", () => {
  it("follows the connections up at once and down step by step, and the budget follows", async () => {
    const autoscaling = { min: 1, max: 5, scaleDown: { stabilization: "0s", maxPodsPerHour: 100 } };
    await withSessions({ entry: { replicas: 2, maxConnectionsPerPod: 100, autoscaling } }, 60, async (bench) => {
      // 190 connections need three entries of 100 with 15 % free, and so do 240 with those of the third.
      await setConnections(bench, 95);
      bench.fleet.connectionsOf = () => 50;
      const up = await bench.until("three entries", scaledTo(3), WAIT_MS);
      assert.equal(up.spec.entry.replicas, 2, "the spec is nobody's but its owner's");
      assert.equal(up.status?.entry?.summary, "3/3");
      assert.ok(up.status?.autoscaling?.lastScale);
      const budget = async () =>
        (await bench.client.get(POD_DISRUPTION_BUDGETS, bench.namespace, "demo-entry"))?.spec.minAvailable;
      await bench.until("the budget of three", async () => (await budget()) === 2);
      await setConnections(bench, 4);
      const down = await bench.until("one entry", scaledTo(1), WAIT_MS);
      await bench.until("one pod", async () => (await bench.entryPods()).length === 1);
      await bench.until("the budget of one", async () => (await budget()) === 0);
      const reasons = (down.status?.drains ?? []).map(({ reason }) => reason);
      assert.deepEqual(reasons, ["ScaleDown", "ScaleDown"], "each was drained");
    });
  });

  it("says that max holds it back, and that a schedule cannot be read, until that is mended", async () => {
    const schedule = { cron: "0 8 * * *", duration: "1h", timezone: "Europe/Atlantis" };
    const buffer = { freeConnections: "15%" };
    const policies = [{ schedule, buffer: { freeConnections: "50%" } }, { buffer }];
    const entry = { replicas: 2, maxConnectionsPerPod: 100, autoscaling: { min: 2, max: 2, policies } };
    await withSessions({ entry }, 10, async (bench) => {
      const faulty = await bench.get();
      assert.equal(conditionOf(faulty, "ScalingLimited")?.reason, "InvalidSchedule");
      assert.match(conditionOf(faulty, "ScalingLimited")?.message ?? "", /policies\[0\].*Europe\/Atlantis/);
      await setConnections(bench, 99);
      bench.fleet.connectionsOf = () => 1;
      await bench.patchSpec({ entry: { autoscaling: { policies: [{ buffer }] } } });
      const limited = await bench.until(
        "limited",
        (cluster) => conditionOf(cluster, "ScalingLimited")?.reason === "AtMaximum",
        WAIT_MS,
      );
      assert.equal(limited.status?.autoscaling?.limited, true);
      assert.match(conditionOf(limited, "ScalingLimited")?.message ?? "", /max \(2\): raise it/);
      await bench.patchSpec({ entry: { autoscaling: { max: 9 } } });
      const freed = await bench.until("no longer limited", scaledTo(3), WAIT_MS);
      assert.equal(conditionOf(freed, "ScalingLimited")?.status, "False");
    });
  });

  it("is left to the spec again when it is taken out", async () => {
    const entry = { replicas: 2, maxConnectionsPerPod: 100, autoscaling: { min: 2, max: 4 } };
    await withSessions({ entry }, 10, async (bench) => {
      await setConnections(bench, 95);
      bench.fleet.connectionsOf = () => 50;
      await bench.until("three entries", scaledTo(3), WAIT_MS);
      await bench.patchSpec({ entry: { autoscaling: null } });
      const cluster = await bench.until(
        "two entries",
        ({ status }) => status?.entry?.summary === "2/2" && status.entry.replicas === 2 && !status.entry.draining,
        WAIT_MS,
      );
      assert.equal(cluster.status?.autoscaling, undefined);
      assert.equal(conditionOf(cluster, "ScalingLimited")?.reason, "AutoscalingOff");
    });
  });
});

describe("the scale subresource", () => {
  it("names the pods that stay while others drain, as an autoscaler must count them", async () => {
    const drain = { window: "1s", deadline: "10m" };
    await withSessions({ entry: { replicas: 3, drain } }, 10, async (bench) => {
      const path = `/apis/imcluster.io/v1alpha1/namespaces/${bench.namespace}/imclusters/demo/scale`;
      const scale = async () =>
        JSON.parse(await server.client.raw(path)) as { status: { replicas: number; selector: string } };
      const selected = async () => {
        const { selector } = (await scale()).status;
        return (await bench.client.list(PODS, bench.namespace, { labelSelector: selector })).items;
      };
      assert.deepEqual(namesOf(await selected()), namesOf(await bench.entryPods()));
      // As a HorizontalPodAutoscaler does.
      await bench.client.patchMerge(
        IM_CLUSTER,
        bench.namespace,
        "demo",
        { spec: { replicas: 2 } },
        { subresource: "scale" },
      );
      // A drain that does not end: it asks two connections at a time.
      for (const pod of await bench.entryPods()) bench.fleet.setConnections(pod, 1_000_000);
      await bench.until("one drains", ({ status }) => status?.entry?.draining === 1 && status.entry.replicas === 2);
      const [staying, all] = [await selected(), await bench.entryPods()];
      assert.equal((await scale()).status.replicas, 2);
      assert.equal(all.length, 3);
      assert.equal(staying.length, 2);
      const leaving = all.find(({ metadata }) => !namesOf(staying).includes(metadata.name));
      assert.equal(leaving?.metadata.labels?.["imcluster.io/lifecycle"], "leaving");
      const service = await bench.client.get(SERVICES, bench.namespace, "demo-entry");
      assert.deepEqual(
        Object.keys(service?.spec.selector ?? {}).sort(),
        ["app.kubernetes.io/component", "imcluster.io/cluster"],
        "its open connections are not cut by a label",
      );
    });
  });

  it("names a pod again when its drain is called off", async () => {
    const bench = await Bench.open(server);
    try {
      const stuck = new Set<string>();
      await bench.startOperator();
      await bench.create({ entry: { replicas: 2 } });
      await bench.untilReady();
      await bench.stopKubelet();
      await bench.patchSpec({ entry: { replicas: 1 } });
      await bench.until("one leaves", async () => {
        for (const { metadata } of await bench.entryPods())
          if (metadata.labels?.["imcluster.io/lifecycle"] === "leaving") stuck.add(metadata.name);
        return stuck.size === 1;
      });
      await bench.patchSpec({ entry: { replicas: 2 } });
      bench.startKubelet();
      await bench.until("both are wanted", async ({ status }) => {
        const pods = await bench.entryPods();
        const isFree = pods.every(({ metadata }) => metadata.labels?.["imcluster.io/lifecycle"] === undefined);
        return isFree && status?.entry?.ready === 2 && status.entry.draining === 0;
      });
    } finally {
      await bench.close();
    }
  });
});
