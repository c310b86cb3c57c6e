// SPDX-License-Identifier: Apache-2.0
// Updates that something may hold back: approval, canary, and going back.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { IM_CLUSTER } from "../../operator/api/resource.ts";
import type { ImCluster } from "../../operator/api/v1alpha1.ts";
import { ANNOTATION, LABEL } from "../../operator/imcluster/names.ts";
import { PODS, type Pod } from "../../operator/kube/types.ts";
import { type Bench, conditionOf, OPERAND_IMAGE, withCluster } from "./support/bench.ts";
import type { KubeletOptions } from "./support/kubelet.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";

let server: ImApiServer;
before(async () => {
  server = await startImApiServer();
});
after(() => server?.stop());

const withUpdate = (update: object, body: (bench: Bench) => Promise<void>, options: Partial<KubeletOptions> = {}) =>
  withCluster(server, { entry: { replicas: 2, update } }, body, options);

const NEXT = "registry.example/imcluster:0.2.0";
const imageOf = (pod: Pod) => pod.spec.containers[0]?.image;
const uidsOf = (pods: Pod[]) => pods.map(({ metadata }) => metadata.uid ?? "").sort();
const livingOf = (pods: Pod[]) => pods.filter(({ metadata }) => !metadata.deletionTimestamp);
const isBlocked = (cluster: ImCluster, reason: string) => {
  const condition = conditionOf(cluster, "UpdateBlocked");
  return condition?.status === "True" && condition.reason === reason;
};
const isUpdated = ({ status, metadata }: ImCluster) =>
  status?.phase === "Ready" && status.observedGeneration === metadata.generation && status.entry?.updated === 2;

describe("approval", () => {
  it("is waited for, with the command; a lost entry comes back as it was; approved, the update goes on", async () => {
    await withUpdate({ approval: { mode: "Manual" } }, async (bench) => {
      await bench.until("sessions counted", ({ status }) => status?.entry?.sessions === 6);
      await bench.patchSpec({ image: NEXT });
      const waiting = await bench.until("approval is asked for", (cluster) => isBlocked(cluster, "ApprovalNeeded"));
      const { status } = waiting;
      const message = conditionOf(waiting, "UpdateBlocked")?.message ?? "";
      const revision = status?.entry?.currentRevision ?? "";
      assert.ok(
        message.endsWith(
          `kubectl annotate imc/demo -n ${bench.namespace} --overwrite imcluster.io/approve-update=${revision}`,
        ),
      );
      await bench.until(
        "plan",
        (cluster) => cluster.status?.plan?.needsApproval === true && cluster.status.plan.sessionsAffected === 6,
      );

      const [lost] = await bench.entryPods();
      assert.ok(lost);
      await bench.client.delete(PODS, bench.namespace, lost.metadata.name, { uid: lost.metadata.uid ?? "" });
      await bench.until("replaced", async ({ status: now }) => {
        const pods = livingOf(await bench.entryPods());
        return now?.entry?.ready === 2 && pods.length === 2 && !uidsOf(pods).includes(lost.metadata.uid ?? "");
      });
      assert.ok(
        (await bench.entryPods()).every((pod) => imageOf(pod) === OPERAND_IMAGE),
        "as it was",
      );
      assert.ok(isBlocked(await bench.get(), "ApprovalNeeded"));

      await bench.client.patchMerge(IM_CLUSTER, bench.namespace, "demo", {
        metadata: { annotations: { [ANNOTATION.approveUpdate]: revision } },
      });
      const done = await bench.until("updated", isUpdated);
      assert.ok((await bench.entryPods()).every((pod) => imageOf(pod) === NEXT));
      assert.deepEqual([done.status?.update, done.status?.plan], [undefined, undefined], "nothing is left");
    });
  });
});

describe("a canary", () => {
  const isNew = (pod: Pod) => pod.metadata.labels?.[LABEL.component] === "entry" && imageOf(pod) === NEXT;

  it("serves beside all the old entries for the soak, and is followed by the rest", async () => {
    await withUpdate({ canary: { entries: 1, soak: "10m" } }, async (bench) => {
      await bench.patchSpec({ image: NEXT });
      await bench.until("soaking", ({ status }) => status?.update?.phase === "Soaking");
      const pods = await bench.entryPods();
      assert.equal(pods.filter(isNew).length, 1);
      assert.equal(pods.filter((pod) => !isNew(pod) && !pod.metadata.annotations?.[ANNOTATION.drain]).length, 2);
      await bench.patchSpec({ entry: { update: { canary: { soak: "0s" } } } });
      await bench.until("updated", isUpdated);
      assert.ok((await bench.entryPods()).every(isNew));
      assert.equal(bench.fleet.drained.size, 2);
    });
  });

  it("that fails leaves again, the old entries stay, and another version heals it", async () => {
    await withUpdate({ canary: { entries: 1, soak: "10m" } }, async (bench) => {
      const old = uidsOf(await bench.entryPods());
      await bench.patchSpec({ image: NEXT });
      const made = await bench.until("soaking", ({ status }) => status?.update?.phase === "Soaking");
      const canary = (await bench.entryPods()).find(isNew);
      assert.ok(canary);
      const container = { name: "entry", ready: true, restartCount: 1, image: "i", imageID: "i" };
      const state = { running: { startedAt: new Date().toISOString() } };
      await bench.client.patchMerge(
        ...([PODS, bench.namespace, canary.metadata.name] as const),
        { status: { containerStatuses: [{ ...container, state }] } },
        { subresource: "status" },
      );
      const failed = await bench.until("given up", async (cluster) => {
        return isBlocked(cluster, "CanaryFailed") && (await bench.entryPods()).length === 2;
      });
      assert.deepEqual(uidsOf(await bench.entryPods()), old, "the old ones were not touched");
      const message = conditionOf(failed, "UpdateBlocked")?.message ?? "";
      assert.match(
        message,
        new RegExp(
          `canary of revision ${made.status?.entry?.currentRevision} failed: .*was restarted.*change the spec`,
        ),
      );
      assert.equal(failed.status?.update?.phase, "Aborted");

      // A new operator knows it from the status alone.
      await bench.stopOperator();
      await bench.startOperator();
      await bench.patchSpec({ extlogic: { replicas: 0 } });
      await bench.until("seen", ({ status, metadata }) => status?.observedGeneration === metadata.generation);
      assert.deepEqual(uidsOf(await bench.entryPods()), old, "no second canary");

      await bench.patchSpec({ image: OPERAND_IMAGE });
      const back = await bench.until("as before", isUpdated);
      assert.equal(conditionOf(back, "UpdateBlocked")?.status, "False");
      assert.deepEqual(uidsOf(await bench.entryPods()), old);
    });
  });
});

describe("going back", () => {
  it("before the new entries are ready takes only these away", async () => {
    const starts = (pod: Pod) => imageOf(pod) !== NEXT || pod.metadata.labels?.[LABEL.component] !== "entry";
    await withUpdate(
      {},
      async (bench) => {
        const old = uidsOf(await bench.entryPods());
        await bench.patchSpec({ image: NEXT });
        await bench.until("a second set", async () => (await bench.entryPods()).length === 4);
        await bench.patchSpec({ image: OPERAND_IMAGE });
        await bench.until("as before", async (cluster) => isUpdated(cluster) && (await bench.entryPods()).length === 2);
        assert.deepEqual(uidsOf(await bench.entryPods()), old);
        assert.equal(bench.fleet.drained.size, 0, "nobody was asked to move");
      },
      { starts },
    );
  });
});

/** A whole update, and the time in which clients come back after it. */
const SETTLED_MS = 120_000;

describe("an update in batches", () => {
  it("then asks the clients of entries that have too many to spread, once, where the spec wants that", async () => {
    await withUpdate({ strategy: "Batched", batch: "1", maxSkewPercent: 20 }, async (bench) => {
      await bench.patchSpec({ image: NEXT });
      const made = await bench.until("the first new one", async () =>
        (await bench.entryPods()).some((pod) => imageOf(pod) === NEXT),
      );
      assert.notEqual(made.status?.entry?.updated, 2);
      const first = (await bench.entryPods()).find((pod) => imageOf(pod) === NEXT);
      assert.ok(first);
      bench.fleet.setConnections(first, 300);
      const uid = first.metadata.uid ?? "";
      const isNew = (pod: Pod) => imageOf(pod) === NEXT;
      await bench.until("the second new one", async () => (await bench.entryPods()).filter(isNew).length === 2);
      for (const { metadata } of (await bench.entryPods()).filter(isNew)) {
        const annotations = { [ANNOTATION.address]: `${metadata.name}.example.com:443` };
        await bench.client.patchMerge(PODS, bench.namespace, metadata.name, { metadata: { annotations } });
      }
      // 300 and 3: 148 above the mean, and every second one comes back.
      const isAsked = () => bench.fleet.shedding.get(uid) === 296;
      await bench.until("all that are too many are asked", isAsked, SETTLED_MS);
      const isSpread = (cluster: ImCluster) => isUpdated(cluster) && cluster.status?.entry?.sessions === 7;
      await bench.until("updated", isSpread, SETTLED_MS);
      assert.deepEqual([...bench.fleet.shedding.keys()], [uid], "and nobody else");
      const other = (await bench.entryPods()).find(({ metadata }) => metadata.uid !== uid);
      assert.ok(bench.fleet.hints.length > 0);
      for (const hint of bench.fleet.hints) assert.deepEqual(hint, [`${other?.metadata.name}.example.com:443`]);
    });
  });
});
