// SPDX-License-Identifier: Apache-2.0
// Hibernation, fencing, pause, crash purge and the audit of the router, with a real API server.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { IM_CLUSTER } from "../../operator/api/resource.ts";
import { PODS, type Pod } from "../../operator/kube/types.ts";
import { waitUntil } from "../harness/processes.ts";
import { type Bench, conditionOf, conditionStatus, withCluster } from "./support/bench.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";

let server: ImApiServer;
before(async () => {
  server = await startImApiServer();
});
after(() => server?.stop());

const WAIT_MS = 60_000;
/** A dead entry's lease ends after this at the latest, without any operator. */
const LEASE_MS = 16_000;

const uidOf = (pod: Pod | undefined) => pod?.metadata.uid ?? "";
const patchPodStatus = (bench: Bench, pod: Pod, status: object) =>
  bench.client.patchMerge(PODS, bench.namespace, pod.metadata.name, { status }, { subresource: "status" });

describe("spec.hibernate", () => {
  it("drains all entries, keeps the rest and the number, and wakes up again", async () => {
    await withCluster(server, { entry: { replicas: 3 } }, async (bench) => {
      const before = (await bench.entryPods()).map(uidOf).sort();
      await bench.patchSpec({ hibernate: true });
      const asleep = await bench.until(
        "asleep",
        async (cluster) => conditionStatus(cluster, "Hibernated") === "True" && (await bench.entryPods()).length === 0,
        WAIT_MS,
      );
      assert.deepEqual([...bench.fleet.drained].sort(), before, "clients were asked to go");
      assert.deepEqual([asleep.status?.phase, asleep.status?.entry?.summary], ["Hibernated", "0/0"]);
      assert.deepEqual([asleep.status?.logic?.summary, asleep.status?.extlogic?.summary], ["2/2", "1/1"]);
      assert.equal(conditionStatus(asleep, "Ready"), "False");
      assert.equal(asleep.spec.entry.replicas, 3);
      await bench.patchSpec({ hibernate: false });
      const awake = await bench.untilReady();
      assert.equal(awake.status?.entry?.summary, "3/3");
      assert.equal(conditionStatus(awake, "Hibernated"), "False");
    });
  });
});

describe("spec.fencedEntries", () => {
  it("cuts one off without a drain: purged by force, replaced, and the others untouched", async () => {
    await withCluster(server, { entry: { replicas: 2 } }, async (bench) => {
      const [victim, other] = await bench.entryPods();
      assert.ok(victim && other);
      bench.fleet.setConnections(victim, 1_000_000);
      await bench.patchSpec({ fencedEntries: [victim.metadata.name] });
      await bench.until("another in its place", async ({ status }) => {
        const pods = await bench.entryPods();
        return !pods.some((pod) => uidOf(pod) === uidOf(victim)) && status?.entry?.ready === 2;
      });
      assert.ok(bench.fleet.purged.includes(uidOf(victim)));
      assert.deepEqual([...bench.fleet.drained], [], "nobody was drained");
      assert.ok((await bench.entryPods()).some((pod) => uidOf(pod) === uidOf(other)));
      const drain = (await bench.get()).status?.drains?.find(({ podUID }) => podUID === uidOf(victim));
      assert.equal(drain?.reason, "Fenced");
    });
  });

  it("cuts all off with *, and makes none until it is taken out", async () => {
    await withCluster(server, { entry: { replicas: 2 } }, async (bench) => {
      const before = (await bench.entryPods()).map(uidOf).sort();
      await bench.patchSpec({ fencedEntries: ["*"] });
      const cut = await bench.until(
        "none is left",
        async (cluster) => conditionStatus(cluster, "Hibernated") === "True" && (await bench.entryPods()).length === 0,
        WAIT_MS,
      );
      assert.equal(conditionOf(cut, "Hibernated")?.reason, "AllFenced");
      assert.deepEqual([...new Set(bench.fleet.purged)].sort(), before);
      await bench.patchSpec({ fencedEntries: null });
      await bench.untilReady();
    });
  });
});

describe("the pause annotation", () => {
  const annotate = (bench: Bench, value: string | null) =>
    bench.client.patchMerge(IM_CLUSTER, bench.namespace, "demo", {
      metadata: { annotations: { "imcluster.io/paused": value } },
    });

  it("stops the operator as spec.paused does, without a change of the spec", async () => {
    await withCluster(server, { entry: { replicas: 2 } }, async (bench) => {
      await annotate(bench, "true");
      const paused = await bench.until("paused", ({ status }) => status?.phase === "Paused");
      assert.equal(conditionOf(paused, "Paused")?.reason, "AnnotationPaused");
      await bench.patchSpec({ entry: { replicas: 3 } });
      await bench.until("seen", ({ status, metadata }) => status?.observedGeneration === metadata.generation);
      assert.equal((await bench.entryPods()).length, 2);
      await annotate(bench, null);
      const awake = await bench.untilReady();
      assert.equal(awake.status?.entry?.summary, "3/3");
    });
  });
});

describe("a dead entry", () => {
  it("that failed is purged long before its lease ends", async (t) => {
    await withCluster(server, { entry: { replicas: 3 } }, async (bench) => {
      const [victim] = await bench.entryPods();
      assert.ok(victim);
      await patchPodStatus(bench, victim, { phase: "Failed", reason: "Evicted" });
      const failedMs = performance.now();
      await waitUntil("purged", () => bench.fleet.purged.includes(uidOf(victim)), LEASE_MS);
      t.diagnostic(`purge ${Math.round(performance.now() - failedMs)} ms after the pod failed`);
      await bench.untilReady();
    });
  });

  it("whose container started again loses the routes of the start before", async (t) => {
    await withCluster(server, { entry: { replicas: 2 } }, async (bench) => {
      const [victim, other] = await bench.entryPods();
      assert.ok(victim && other);
      await waitUntil("the first audit", () => bench.fleet.audits.length > 0, WAIT_MS);
      // Each has told who it is when its sessions are known.
      await bench.until("consistent, and all are known", (cluster) => {
        const isKnown = (cluster.status?.pods ?? []).every(({ sessions = 0 }) => sessions > 0);
        return isKnown && conditionStatus(cluster, "RouterConsistent") === "True";
      });
      bench.fleet.restart(victim);
      bench.fleet.ghosts = { deleted: 7, remaining: 0 };
      const before = bench.fleet.audits.length;
      const state = { running: { startedAt: new Date().toISOString() } };
      const containerStatuses = [{ name: "entry", ready: true, restartCount: 1, image: "i", imageID: "i", state }];
      await patchPodStatus(bench, victim, { containerStatuses });
      const restartedMs = performance.now();
      await waitUntil("an audit for it", () => bench.fleet.audits.length > before, LEASE_MS);
      t.diagnostic(`audit ${Math.round(performance.now() - restartedMs)} ms after the restart was counted`);
      const told = new Map(bench.fleet.audits.at(-1)?.living.map(({ podUid, incarnation }) => [podUid, incarnation]));
      assert.equal(told.get(uidOf(victim)), `${uidOf(victim)}.2`);
      assert.equal(told.get(uidOf(other)), `${uidOf(other)}.1`);
      await waitUntil("told", () => bench.events.some(({ reason }) => reason === "GhostRoutesRemoved"), WAIT_MS);
    });
  });
});

describe("the audit of the router", () => {
  it("says what is held back, and that it is gone", async () => {
    await withCluster(server, { entry: { replicas: 1 } }, async (bench) => {
      bench.fleet.ghosts = { deleted: 0, remaining: 40 };
      // A later audit comes after a minute at the latest, sooner when routes are left.
      const held = await bench.until(
        "ghosts",
        (cluster) => conditionStatus(cluster, "RouterConsistent") === "False",
        110_000,
      );
      assert.deepEqual([held.status?.router?.connected, held.status?.router?.ghostRoutes], [true, 40]);
      assert.match(conditionOf(held, "RouterConsistent")?.message ?? "", /imcluster\.io\/force-purge/);
      bench.fleet.ghosts = { deleted: 40, remaining: 0 };
      await bench.client.patchMerge(IM_CLUSTER, bench.namespace, "demo", {
        metadata: { annotations: { "imcluster.io/force-purge": "true" } },
      });
      const clean = await bench.until(
        "no ghosts",
        (cluster) => conditionStatus(cluster, "RouterConsistent") === "True",
        WAIT_MS,
      );
      assert.equal(clean.status?.router?.ghostRoutes, 0);
      assert.equal(bench.fleet.audits.at(-1)?.force, true);
    });
  });
});
