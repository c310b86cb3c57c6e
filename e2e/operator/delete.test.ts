// SPDX-License-Identifier: Apache-2.0
// No controller-manager runs here, so nothing is collected: what the collector needs is checked instead.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { IM_CLUSTER } from "../../operator/api/resource.ts";
import { FINALIZER } from "../../operator/imcluster/names.ts";
import { isControlledBy } from "../../operator/kube/owner.ts";
import {
  CONFIG_MAPS,
  DEPLOYMENTS,
  JOBS,
  type KubeObject,
  NETWORK_POLICIES,
  PERSISTENT_VOLUME_CLAIMS,
  POD_DISRUPTION_BUDGETS,
  type Resource,
  SECRETS,
  SERVICE_ACCOUNTS,
  SERVICES,
  STATEFUL_SETS,
  STORAGE_CLASSES,
} from "../../operator/kube/types.ts";
import { waitUntil } from "../harness/processes.ts";
import { Bench } from "./support/bench.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";

let server: ImApiServer;
before(async () => {
  server = await startImApiServer();
  await server.client.create(STORAGE_CLASSES, {
    apiVersion: "storage.k8s.io/v1",
    kind: "StorageClass",
    metadata: { name: "local" },
    provisioner: "example.com/local",
  });
});
after(() => server?.stop());

const OWNED: readonly Resource[] = [
  ...[SERVICES, SERVICE_ACCOUNTS, SECRETS, CONFIG_MAPS, PERSISTENT_VOLUME_CLAIMS],
  ...[DEPLOYMENTS, STATEFUL_SETS, JOBS, POD_DISRUPTION_BUDGETS, NETWORK_POLICIES],
];

describe("deleting an ImCluster", () => {
  it("frees its pods, then itself; everything else names it as owner, the volume too", async () => {
    const bench = await Bench.open(server);
    try {
      await bench.startOperator();
      const { metadata } = await bench.create({ entry: { replicas: 2 }, networkPolicy: {} });
      await bench.untilReady();
      const uid = metadata.uid ?? "";
      for (const resource of OWNED) {
        const { items } = await bench.client.list(resource as Resource<KubeObject>, bench.namespace);
        assert.ok(items.length > 0, `${resource.kind} exist`);
        for (const object of items)
          assert.ok(isControlledBy(object, uid), `${resource.kind} ${object.metadata.name} has its owner`);
      }
      const claim = await bench.client.get(PERSISTENT_VOLUME_CLAIMS, bench.namespace, "demo-postgres");
      assert.equal(claim?.spec.storageClassName, "local", "the only class there is");
      await bench.client.delete(IM_CLUSTER, bench.namespace, "demo");
      await waitUntil("it is gone", async () => !(await bench.client.get(IM_CLUSTER, bench.namespace, "demo")));
      for (const pod of await bench.entryPods()) {
        assert.ok(!pod.metadata.finalizers?.includes(FINALIZER.entry), "nothing holds the pod");
        assert.ok(isControlledBy(pod, uid), "the collector takes it");
      }
      assert.equal(bench.fleet.drained.size, 0, "nobody is left to drain to");
    } finally {
      await bench.close();
    }
  });

  it("also frees a pod whose labels somebody took away", async () => {
    const bench = await Bench.open(server);
    try {
      await bench.startOperator();
      await bench.create({ entry: { replicas: 1 } });
      await bench.untilReady();
      const [pod] = await bench.entryPods();
      assert.ok(pod);
      const pods: Resource = { apiVersion: "v1", kind: "Pod", plural: "pods", namespaced: true };
      await bench.client.patchMerge(pods, bench.namespace, pod.metadata.name, { metadata: { labels: null } });
      await bench.until(
        "replaced",
        async ({ status }) => status?.entry?.ready === 1 && (await bench.entryPods()).length === 1,
      );
      await bench.client.delete(IM_CLUSTER, bench.namespace, "demo");
      await waitUntil("it is gone", async () => !(await bench.client.get(IM_CLUSTER, bench.namespace, "demo")));
      const hidden = await bench.client.get(pods, bench.namespace, pod.metadata.name);
      assert.ok(!hidden?.metadata.finalizers?.includes(FINALIZER.entry));
    } finally {
      await bench.close();
    }
  });

  it("and making it again waits until what the old one owned is gone", async () => {
    const bench = await Bench.open(server);
    try {
      await bench.startOperator();
      await bench.create({ entry: { replicas: 1 } });
      await bench.untilReady();
      await bench.client.delete(IM_CLUSTER, bench.namespace, "demo");
      await waitUntil("it is gone", async () => !(await bench.client.get(IM_CLUSTER, bench.namespace, "demo")));
      await bench.create({ entry: { replicas: 1 } });
      const waiting = await bench.until("waits", ({ status }) =>
        /still belongs to another owner/.test(JSON.stringify(status?.conditions)),
      );
      assert.equal(waiting.status?.phase, "Pending");
      // What the garbage collector would do.
      for (const resource of OWNED) {
        for (const { metadata } of (await bench.client.list(resource as Resource<KubeObject>, bench.namespace)).items) {
          await bench.client.delete(resource, bench.namespace, metadata.name);
          // The admission plugin's finalizer on claims, which a controller would take away.
          if (resource === PERSISTENT_VOLUME_CLAIMS)
            await bench.client.patchMerge(resource, bench.namespace, metadata.name, { metadata: { finalizers: null } });
        }
      }
      await bench.untilReady();
    } finally {
      await bench.close();
    }
  });
});
