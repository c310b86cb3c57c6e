// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { parseIntent } from "../../operator/imcluster/drain.ts";
import { ANNOTATION, FINALIZER } from "../../operator/imcluster/names.ts";
import { PODS, type Pod } from "../../operator/kube/types.ts";
import { waitUntil } from "../harness/processes.ts";
import { Bench, withCluster } from "./support/bench.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";

let server: ImApiServer;
before(async () => {
  server = await startImApiServer();
});
after(() => server?.stop());

const uidsOf = (pods: Pod[]) => pods.map(({ metadata }) => metadata.uid ?? "");
const replicas = (count: number) => ({ entry: { replicas: count } });

describe("scaling", () => {
  it("down drains the pods with the fewest sessions, purges their routes, then deletes them", async () => {
    await withCluster(server, replicas(4), async (bench) => {
      const pods = await bench.entryPods();
      const [busy, calm] = [pods.slice(0, 2), pods.slice(2)];
      for (const pod of busy) bench.fleet.setConnections(pod, 50);
      for (const pod of calm) bench.fleet.setConnections(pod, 5);
      await bench.until("sessions counted", ({ status }) => status?.entry?.sessions === 110);
      await bench.patchSpec(replicas(2));
      const cluster = await bench.untilReady();
      assert.deepEqual(uidsOf(await bench.entryPods()).sort(), uidsOf(busy).sort());
      assert.deepEqual([...bench.fleet.drained].sort(), uidsOf(calm).sort());
      assert.deepEqual([...new Set(bench.fleet.purged)].sort(), uidsOf(calm).sort());
      const drains = cluster.status?.drains ?? [];
      assert.deepEqual(
        drains.map(({ phase, reason }) => [phase, reason]),
        [
          ["Released", "ScaleDown"],
          ["Released", "ScaleDown"],
        ],
      );
      assert.ok(drains.every(({ finishedAt }) => finishedAt));
    });
  });

  it("up again calls off a drain that has not told clients anything yet", async () => {
    await withCluster(server, replicas(2), async (bench) => {
      const before = uidsOf(await bench.entryPods()).sort();
      // The pod stays ready for the kubelet, so the drain stays at Cordoned.
      bench.fleet.isReady = () => true;
      await bench.patchSpec(replicas(1));
      await bench.until("cordoned", ({ status }) => status?.drains?.[0]?.phase === "Cordoned");
      await bench.patchSpec(replicas(2));
      await bench.untilReady();
      assert.deepEqual(uidsOf(await bench.entryPods()).sort(), before, "no pod was replaced");
      assert.equal(bench.fleet.drained.size, 0);
      assert.ok((await bench.entryPods()).every(({ metadata }) => !metadata.annotations?.[ANNOTATION.drain]));
    });
  });

  it("waits with the purge while no logic pod answers, and goes on when one does", async () => {
    await withCluster(server, replicas(2), async (bench) => {
      bench.fleet.isLogicUp = false;
      await bench.patchSpec(replicas(1));
      await bench.until("purging", ({ status }) => status?.drains?.[0]?.phase === "Purging");
      assert.equal((await bench.entryPods()).length, 2);
      bench.fleet.isLogicUp = true;
      await bench.until("one entry is left", async () => (await bench.entryPods()).length === 1);
      await bench.untilReady();
    });
  });
});

describe("an entry pod", () => {
  it("that was deleted by hand keeps its object until its routes are purged, and is replaced at once", async () => {
    await withCluster(server, replicas(2), async (bench) => {
      const [victim] = await bench.entryPods();
      assert.ok(victim);
      bench.fleet.isLogicUp = false;
      await bench.client.delete(PODS, bench.namespace, victim.metadata.name, { uid: victim.metadata.uid ?? "" });
      // The status of before also says 2: a third object is there once there is a replacement.
      const isReplaced = async () => (await bench.entryPods()).length === 3;
      await bench.until("replaced", async ({ status }) => status?.entry?.ready === 2 && (await isReplaced()));
      const held = (await bench.entryPods()).find(({ metadata }) => metadata.uid === victim.metadata.uid);
      assert.ok(held?.metadata.finalizers?.includes(FINALIZER.entry), "held until purged");
      bench.fleet.isLogicUp = true;
      await bench.until("the old object is gone", async () => (await bench.entryPods()).length === 2);
      assert.ok(bench.fleet.purged.includes(victim.metadata.uid ?? ""));
    });
  });

  it("that failed is purged, deleted and replaced", async () => {
    await withCluster(server, replicas(2), async (bench) => {
      const [victim] = await bench.entryPods();
      assert.ok(victim);
      const failed = { phase: "Failed", reason: "Evicted", message: "The node was low on memory" };
      await bench.client.patchMerge(
        PODS,
        bench.namespace,
        victim.metadata.name,
        { status: failed },
        { subresource: "status" },
      );
      await bench.until("gone", async () => !uidsOf(await bench.entryPods()).includes(victim.metadata.uid ?? ""));
      await bench.untilReady();
      assert.ok(bench.fleet.purged.includes(victim.metadata.uid ?? ""));
      assert.equal(bench.fleet.drained.size, 0, "a dead pod is not asked to drain");
    });
  });

  it("without an owner, but with our labels, is adopted instead of one more being made", async () => {
    await withCluster(server, replicas(2), async (bench) => {
      const [orphan] = await bench.entryPods();
      assert.ok(orphan);
      await bench.stopOperator();
      await bench.client.patchMerge(PODS, bench.namespace, orphan.metadata.name, {
        metadata: { ownerReferences: null },
      });
      await bench.startOperator();
      await waitUntil("adopted", async () => {
        const pods = await bench.entryPods();
        return pods.every(({ metadata }) => metadata.ownerReferences?.[0]?.kind === "ImCluster");
      });
      assert.equal((await bench.entryPods()).length, 2);
    });
  });

  it("that fails again and again is made again ever more slowly, which a condition says", async () => {
    const failing = { isOn: true };
    const bench = await Bench.open(server, {
      starts: (pod) => pod.metadata.labels?.["app.kubernetes.io/component"] !== "entry" || !failing.isOn,
    });
    try {
      await bench.startOperator();
      await bench.create(replicas(1));
      const failAll = async () => {
        for (const { metadata, status } of await bench.entryPods()) {
          if (status?.phase === "Failed") continue;
          await bench.client.patchMerge(
            PODS,
            bench.namespace,
            metadata.name,
            { status: { phase: "Failed" } },
            { subresource: "status" },
          );
        }
      };
      await bench.until("backoff", async ({ status }) => {
        await failAll();
        return (
          status?.conditions?.some(({ type, reason }) => type === "EntriesReady" && reason === "CrashBackoff") ?? false
        );
      });
      failing.isOn = false;
      await bench.untilReady();
    } finally {
      await bench.close();
    }
  });

  it("tells by its annotation how far its drain is", async () => {
    await withCluster(server, replicas(2), async (bench) => {
      bench.fleet.isLogicUp = false;
      await bench.patchSpec(replicas(1));
      await bench.until("purging", ({ status }) => status?.drains?.[0]?.phase === "Purging");
      const intents = (await bench.entryPods()).flatMap(
        ({ metadata }) => parseIntent(metadata.annotations?.[ANNOTATION.drain]) ?? [],
      );
      assert.equal(intents.length, 1);
      assert.equal(intents[0]?.reason, "ScaleDown");
      assert.ok(Date.parse(intents[0]?.deadline ?? "") > Date.parse(intents[0]?.startedAt ?? ""));
      bench.fleet.isLogicUp = true;
      await bench.untilReady();
    });
  });
});
