// SPDX-License-Identifier: Apache-2.0
// The roles of the im-operator chart grant what the operator uses, and nothing more: the API server's audit log says what that is.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { systemClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import { type AuditEvent, boundRoles, grantsOf, type Rule, usedIn } from "../../charts/testing/grants.ts";
import { type Manifest, render } from "../../charts/testing/helm.ts";
import { createAdmission } from "../../operator/admission/admission.ts";
import { DEFAULT_DRAIN_TAINTS } from "../../operator/imcluster/drain-cause.ts";
import type { KubeClient } from "../../operator/kube/client.ts";
import { EventRecorder } from "../../operator/kube/events.ts";
import { LeaderElection } from "../../operator/kube/leader-election.ts";
import { createKubeClient, loadKubeConfig } from "../../operator/kube/rest-client.ts";
import {
  CONFIG_MAPS,
  type KubeObject,
  NAMESPACES,
  NETWORK_POLICIES,
  PODS,
  type Resource,
  SECRETS,
  VALIDATING_WEBHOOK_CONFIGURATIONS,
} from "../../operator/kube/types.ts";
import type { Operator } from "../../operator/operator.ts";
import { waitUntil } from "../harness/processes.ts";
import { Bench } from "./support/bench.ts";
import { type ImApiServer, startImApiServer } from "./support/shared-api-server.ts";

const USER = { user: "im-operator-test" };
/** Of the rendered chart. */
const [NAMESPACE, ADMISSION] = ["ns", "test-im-operator-admission"];
/** Granted, and in no log. */
const UNSEEN = [
  // Asked by the admission plugin that looks at ownerReferences, where it is on; not by a request.
  "update imcluster.io/imclusters/finalizers",
];

let server: ImApiServer;
let granted: string[];
before(async () => {
  server = await startImApiServer({ auditUsers: [USER.user] });
  const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } };
  await server.client.create(NAMESPACES, namespace);
  const manifests = await render("im-operator");
  const { roles, bindings } = boundRoles(manifests);
  const subjects = [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: USER.user }];
  for (const role of roles) await make(role);
  for (const binding of bindings) await make({ ...binding, subjects } as Manifest);
  for (const webhooks of manifests.filter(({ kind }) => kind === VALIDATING_WEBHOOK_CONFIGURATIONS.kind))
    await make(webhooks);
  granted = grantsOf(roles.flatMap(({ rules = [] }): Rule[] => rules));
});
after(() => server?.stop());

async function make(manifest: Manifest): Promise<void> {
  const { apiVersion, kind, metadata } = manifest;
  const plural = `${kind.toLowerCase()}s`;
  const resource: Resource = { apiVersion, kind, plural, namespaced: metadata.namespace !== undefined };
  assert.notEqual(await server.client.create(resource, manifest as KubeObject), "exists");
}

function audited(): AuditEvent[] {
  const lines = readFileSync(server.api.auditPath, "utf8").split("\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line) as AuditEvent);
}

/** One replica takes the Lease, keeps it, and gives it back. */
async function lead(client: KubeClient): Promise<void> {
  let isLeading = false;
  const election = new LeaderElection({
    ...{ client, namespace: NAMESPACE, name: "im-operator", identity: "one", log: silentLogger },
    onLeading: () => {
      isLeading = true;
    },
    onLost: () => undefined,
  });
  election.start();
  await waitUntil("it leads", () => isLeading);
  await election.close();
}

/** The webhooks' certificate is made, and made again in the Secret that the chart brings without content. */
async function certify(client: KubeClient, fleet: Operator["fleetView"]): Promise<void> {
  const ensure = async () => {
    const admission = createAdmission({
      ...{ client, fleet, namespace: NAMESPACE, name: ADMISSION, port: 0, host: "127.0.0.1" },
      ...{ clock: systemClock, log: silentLogger },
    });
    await admission.certificate.ensure();
    await admission.close();
  };
  await ensure();
  await server.client.patchMerge(SECRETS, NAMESPACE, ADMISSION, { data: null });
  await ensure();
}

describe("the operator's roles", () => {
  it("are enough for everything that the operator does, and all of them are used", async (t) => {
    const kubeConfig = loadKubeConfig({ path: await server.api.kubeconfigFor(USER) });
    const client = createKubeClient({ kubeConfig, fieldValidation: "Strict" });
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
    const recorder = new EventRecorder({ client, log: silentLogger, instance: "one" });
    try {
      await lead(client);
      const { fleetView } = await bench.startOperator(client);
      await certify(client, fleetView);
      const cluster = await bench.create({ entry: { replicas: 2 } });
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
      // The same sighting twice is an Event and its series.
      const sighting = { type: "Normal", reason: "Tried", message: "once" } as const;
      recorder.record(cluster, sighting);
      await waitUntil("an Event", () => audited().some(({ objectRef }) => objectRef?.resource === "events"));
      recorder.record(cluster, sighting);
    } finally {
      await recorder.close();
      await bench.close();
      client.close();
    }
    const events = audited();
    const used = usedIn(events.filter(({ responseStatus }) => responseStatus?.code !== 403));
    t.diagnostic(`${events.length} requests, ${used.length} rights used, ${granted.length} granted`);
    const refused = usedIn(events.filter(({ responseStatus }) => responseStatus?.code === 403));
    assert.deepEqual(refused, [], "refused");
    assert.deepEqual(
      used.filter((one) => !granted.includes(one)),
      [],
      "used without being granted",
    );
    assert.deepEqual(
      granted.filter((one) => !used.includes(one) && !UNSEEN.includes(one)),
      [],
      "granted without being used",
    );
  });
});
