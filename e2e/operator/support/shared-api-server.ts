// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { IM_CLUSTER } from "../../../operator/api/resource.ts";
import type { ImCluster } from "../../../operator/api/v1alpha1.ts";
import type { KubeClient } from "../../../operator/kube/client.ts";
import { KubeError } from "../../../operator/kube/kube-error.ts";
import { createKubeClient, loadKubeConfig } from "../../../operator/kube/rest-client.ts";
import {
  type Condition,
  CUSTOM_RESOURCE_DEFINITIONS,
  type KubeObject,
  NAMESPACES,
} from "../../../operator/kube/types.ts";
import { type ApiServerOptions, startApiServer, type TestApiServer } from "../../harness/api-server.ts";
import { waitUntil } from "../../harness/processes.ts";

/** Pods of a namespace with it must meet the Pod Security Standard. */
export const RESTRICTED: Readonly<Record<string, string>> = { "pod-security.kubernetes.io/enforce": "restricted" };

/** A real API server with the CRD of this project, and an administrator's client. */
export interface ImApiServer {
  api: TestApiServer;
  client: KubeClient;
  /** A new namespace of a random name. */
  makeNamespace(labels?: Readonly<Record<string, string>>): Promise<string>;
  stop(): Promise<void>;
}

export async function startImApiServer(options: ApiServerOptions = {}): Promise<ImApiServer> {
  const api = await startApiServer(options);
  // Strict: a typo in a builder is an error here.
  const client = createKubeClient({
    kubeConfig: loadKubeConfig({ path: api.kubeconfigPath }),
    fieldValidation: "Strict",
  });
  const stop = async () => {
    client.close();
    await api.stop();
  };
  try {
    await installCrd(client);
  } catch (error) {
    await stop();
    throw error;
  }
  return { api, client, stop, makeNamespace: (labels) => makeNamespace(client, labels) };
}

async function installCrd(client: KubeClient): Promise<void> {
  const text = readFileSync(new URL("../../../crds/imcluster.yaml", import.meta.url), "utf8");
  const crd = parse(text) as KubeObject;
  await waitUntil("CRD taken", () => isAnswered(client.apply(CUSTOM_RESOURCE_DEFINITIONS, crd)), 60_000);
  await waitUntil("CRD established", async () => {
    const now = await client.get(CUSTOM_RESOURCE_DEFINITIONS, undefined, crd.metadata.name);
    const { conditions } = (now as { status?: { conditions?: Condition[] | null } } | undefined)?.status ?? {};
    return (conditions ?? []).some(({ type, status }) => type === "Established" && status === "True");
  });
  await waitUntil("ImClusters served", async () => {
    try {
      await client.list(IM_CLUSTER, undefined);
      return true;
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return false;
      throw error;
    }
  });
}

/** A server that has just started on a busy machine may take its time. */
async function isAnswered(call: Promise<unknown>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (error) {
    if (error instanceof KubeError && error.retryable) return false;
    throw error;
  }
}

async function makeNamespace(client: KubeClient, labels: Readonly<Record<string, string>> = {}): Promise<string> {
  const name = `t-${randomBytes(5).toString("hex")}`;
  await client.create(NAMESPACES, { apiVersion: "v1", kind: "Namespace", metadata: { name, labels: { ...labels } } });
  return name;
}

/** A manifest as a person would write it: the API server fills in the defaults. */
export function imCluster(namespace: string, spec: unknown = {}, name = "demo"): ImCluster {
  return { apiVersion: "imcluster.io/v1alpha1", kind: "ImCluster", metadata: { name, namespace }, spec } as ImCluster;
}
