// SPDX-License-Identifier: Apache-2.0
import { systemClock } from "#lib/clock.ts";
import { type RunOptions, type RunOutput, runWords } from "../../../kubectl/testing.ts";
import { IM_CLUSTER } from "../../../operator/api/resource.ts";
import type { ImClusterStatus } from "../../../operator/api/v1alpha1.ts";
import { labelsOf, type PodRole } from "../../../operator/imcluster/names.ts";
import type { KubeClient } from "../../../operator/kube/client.ts";
import { type ContainerStatus, PODS, type Pod, SECRETS } from "../../../operator/kube/types.ts";
import { createCa, issueLeaf } from "../../../operator/pki/x509.ts";
import { type ImApiServer, imCluster } from "./shared-api-server.ts";

/** Runs `kubectl im` in this process against the test's API server. */
export function kubectlIm(server: ImApiServer, namespace: string, kubeconfig = server.api.kubeconfigPath) {
  const where = ["--kubeconfig", kubeconfig, "-n", namespace, "--timeout", "60s"];
  return (args: readonly string[], options: RunOptions = {}): Promise<RunOutput> =>
    runWords([...args, ...where], { clock: systemClock, ...options });
}

/** An ImCluster with a status, as an operator would have left it. */
export async function makeCluster(
  client: KubeClient,
  namespace: string,
  status: ImClusterStatus,
  name = "demo",
): Promise<void> {
  await client.create(IM_CLUSTER, imCluster(namespace, {}, name));
  await client.applyStatus(IM_CLUSTER, { metadata: { name, namespace }, status: { observedGeneration: 1, ...status } });
}

export interface PodFacts {
  name: string;
  component: PodRole | "postgres";
  node: string;
  restarts?: number;
  cluster?: string;
}

/** A pod that runs on a node, ready. */
export async function makePod(client: KubeClient, namespace: string, facts: PodFacts): Promise<Pod> {
  const { name, component, node, restarts = 0, cluster = "demo" } = facts;
  const container = { name: component, image: "registry.example/imcluster:0.1.0" };
  const pod: Pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, labels: labelsOf(cluster, component) },
    spec: { nodeName: node, containers: [container] },
  };
  const made = await client.create(PODS, pod);
  if (made === "exists") throw new Error(`${name} exists`);
  const running: ContainerStatus = { name: component, ready: true, restartCount: restarts, state: { running: {} } };
  const status = {
    phase: "Running",
    conditions: [{ type: "Ready", status: "True" }],
    containerStatuses: [{ ...running, image: container.image, imageID: "" }],
  };
  await client.patchMerge(PODS, namespace, name, { status }, { subresource: "status" });
  return made;
}

export async function makeSecret(
  client: KubeClient,
  namespace: string,
  name: string,
  values: Readonly<Record<string, string>>,
): Promise<void> {
  await client.create(SECRETS, { metadata: { name, namespace }, stringData: { ...values } });
}

/** A pair for clients that lasts so many days. */
export function certificateFor(days: number): { "tls.crt": string; "tls.key": string; "ca.crt": string } {
  const nowMs = Date.now();
  const ca = createCa({ commonName: "test", nowMs, validDays: days + 1 });
  const names = { commonName: "demo.imcluster.local", altNames: ["demo.imcluster.local"], usage: ["server"] as const };
  const leaf = issueLeaf(ca, { ...names, nowMs, validDays: days });
  return { "tls.crt": leaf.cert, "tls.key": leaf.key, "ca.crt": ca.cert };
}
