// SPDX-License-Identifier: Apache-2.0
// operator/rbac.yaml grants what the operator uses, and nothing more.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { parse } from "yaml";
import { DEFAULT_DRAIN_TAINTS } from "../../operator/imcluster/drain-cause.ts";
import { createKubeClient, loadKubeConfig } from "../../operator/kube/rest-client.ts";
import {
  CONFIG_MAPS,
  type KubeObject,
  NETWORK_POLICIES,
  PODS,
  type Resource,
  SECRETS,
} from "../../operator/kube/types.ts";
import { waitUntil } from "../harness/processes.ts";
import { Bench } from "./support/bench.ts";
import { type ApiUse, hookedClient } from "./support/counting-client.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";

interface Rule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
}

const USER = { user: "im-operator-test" };
const cluster = (kind: string, plural: string): Resource => ({
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind,
  plural,
  namespaced: false,
});
const text = readFileSync(new URL("../../operator/rbac.yaml", import.meta.url), "utf8");
const { rules } = parse(text) as { rules: Rule[] };
const phrase = ({ verb, group, resource }: ApiUse) => `${verb} ${group}/${resource}`;
const granted = rules.flatMap(({ apiGroups, resources, verbs }) =>
  apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => phrase({ verb, group, resource })))),
);

let server: ImApiServer;
before(async () => {
  server = await startImApiServer();
  const { client } = server;
  const metadata = { name: "im-operator-test" };
  const apiVersion = "rbac.authorization.k8s.io/v1";
  await client.create(cluster("ClusterRole", "clusterroles"), {
    apiVersion,
    kind: "ClusterRole",
    metadata,
    rules,
  } as KubeObject);
  await client.create(cluster("ClusterRoleBinding", "clusterrolebindings"), {
    ...{ apiVersion, kind: "ClusterRoleBinding", metadata },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: metadata.name },
    subjects: [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: USER.user }],
  } as KubeObject);
});
after(() => server?.stop());

describe("operator/rbac.yaml", () => {
  it("has no wildcard, lists no Secrets, and cannot execute, escalate or impersonate", () => {
    for (const one of granted) assert.ok(!one.includes("*"), one);
    const forbidden = [
      /^(list|watch|delete|deletecollection) \/(secrets|configmaps)$/,
      /\/pods\/(exec|attach|portforward)/,
      /^(bind|escalate|impersonate) /,
    ];
    for (const pattern of forbidden)
      assert.deepEqual(
        granted.filter((one) => pattern.test(one)),
        [],
      );
    assert.ok(!granted.some((one) => /rbac\.authorization|namespaces|deletecollection/.test(one)));
    const onNodes = granted.filter((one) => /nodes/.test(one));
    assert.deepEqual(onNodes.sort(), ["list /nodes", "watch /nodes"], "nodes are only looked at");
  });

  it("is enough for everything that the operator does, and all of it is used", async () => {
    const kubeConfig = loadKubeConfig({ path: await server.api.kubeconfigFor(USER) });
    const restricted = createKubeClient({ kubeConfig, fieldValidation: "Strict" });
    const used = new Set<string>();
    const client = hookedClient(restricted, { onUse: (use) => used.add(phrase(use)) });
    const address = { ip: "192.0.2.10" };
    const bench = await Bench.open(server, { loadBalancerIp: () => address.ip });
    const storage: Resource = {
      apiVersion: "storage.k8s.io/v1",
      kind: "StorageClass",
      plural: "storageclasses",
      namespaced: false,
    };
    await server.client.create(storage, {
      ...{ apiVersion: "storage.k8s.io/v1", kind: "StorageClass", metadata: { name: "only" } },
      provisioner: "example.com/x",
    } as KubeObject);
    bench.drainTaints = DEFAULT_DRAIN_TAINTS;
    try {
      await bench.startOperator(client);
      await bench.create({ entry: { replicas: 2 } });
      await bench.untilReady();
      // Another address (another certificate), scale down, adopt, another version (which removes the Job before), another Redis, rules, deletion.
      address.ip = "192.0.2.11";
      const [orphan] = await bench.entryPods();
      await bench.client.patchMerge(PODS, bench.namespace, orphan?.metadata.name ?? "", {
        metadata: { ownerReferences: null },
      });
      await bench.patchSpec({ entry: { replicas: 1 } });
      await bench.untilReady();
      await bench.client.create(SECRETS, {
        ...{ apiVersion: "v1", kind: "Secret", metadata: { name: "r", namespace: bench.namespace } },
        stringData: { url: "redis://r:6379" },
      });
      await bench.client.create(CONFIG_MAPS, {
        ...{ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "rules", namespace: bench.namespace } },
        data: { "policy.json": "{}" },
      });
      await bench.patchSpec({ chat: { policy: { configMapRef: { name: "rules", key: "policy.json" } } } });
      await bench.patchSpec({ networkPolicy: {} });
      const policies = async () => (await bench.client.list(NETWORK_POLICIES, bench.namespace)).items;
      await waitUntil("policies", async () => (await policies()).length === 7);
      await bench.patchSpec({ networkPolicy: null });
      await waitUntil("no policies", async () => (await policies()).length === 0);
      await bench.patchSpec({ version: "0.2.0", redis: { urlSecretRef: { name: "r", key: "url" } } });
      await bench.until("updated", ({ status }) => status?.phase === "Ready" && status.version === "0.2.0");
      const imCluster: Resource = {
        apiVersion: "imcluster.io/v1alpha1",
        kind: "ImCluster",
        plural: "imclusters",
        namespaced: true,
      };
      await bench.client.delete(imCluster, bench.namespace, "demo");
      await waitUntil("deleted", async () => !(await bench.client.get(imCluster, bench.namespace, "demo")));
    } finally {
      await bench.close();
      restricted.close();
    }
    assert.deepEqual(
      [...used].filter((one) => !granted.includes(one)),
      [],
      "used without being granted",
    );
    // Not through the client: the events recorder, and the admission plugin that looks at ownerReferences.
    const elsewhere = [
      "create events.k8s.io/events",
      "patch events.k8s.io/events",
      "update imcluster.io/imclusters/finalizers",
    ];
    assert.deepEqual(
      granted.filter((one) => !used.has(one) && !elsewhere.includes(one)),
      [],
      "granted without being used",
    );
  });
});
