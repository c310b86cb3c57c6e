// SPDX-License-Identifier: Apache-2.0
import { existsSync } from "node:fs";
import { IM_CLUSTER } from "../operator/api/resource.ts";
import type { ImCluster } from "../operator/api/v1alpha1.ts";
import { LABEL } from "../operator/imcluster/names.ts";
import type { KubeClient } from "../operator/kube/client.ts";
import { KubeError } from "../operator/kube/kube-error.ts";
import { formatLabels } from "../operator/kube/labels.ts";
import { createPodAccess, type PodAccess } from "../operator/kube/pod-access.ts";
import { createKubeClient, loadKubeConfig } from "../operator/kube/rest-client.ts";
import { type KubeObject, PODS, type Pod, type Resource, SECRETS, type Secret } from "../operator/kube/types.ts";
import { CliFault } from "./fault.ts";

const USER_AGENT = "kubectl-im";
const MAX_PAGES = 20;

/** What the global flags say about where to ask. */
export interface Where {
  kubeconfig: string | undefined;
  context: string | undefined;
  namespace: string | undefined;
  timeoutMs: number;
  signal: AbortSignal;
}

/** The API server, as one command asks it: one namespace, one deadline for each request, ended by Ctrl-C. */
export class Access {
  readonly client: KubeClient;
  readonly pods: PodAccess;
  readonly namespace: string;
  /** Of the kubeconfig. */
  readonly contextName: string;
  readonly call: { deadlineMs: number; signal: AbortSignal };

  private constructor(parts: Pick<Access, "client" | "pods" | "namespace" | "contextName" | "call">) {
    this.client = parts.client;
    this.pods = parts.pods;
    this.namespace = parts.namespace;
    this.contextName = parts.contextName;
    this.call = parts.call;
  }

  /** @throws CliFault when the kubeconfig is not there or names no such context */
  static open(where: Where): Access {
    const kubeConfig = readKubeConfig(where);
    const contextName = kubeConfig.getCurrentContext();
    const context = kubeConfig.getContextObject(contextName);
    if (!context) {
      const known = kubeConfig.getContexts().map(({ name }) => name);
      const remedy =
        known.length > 0 ? `It has ${known.join(", ")}.` : "Name a kubeconfig by --kubeconfig or KUBECONFIG.";
      throw new CliFault(`there is no context ${JSON.stringify(contextName ?? "")} in the kubeconfig`, remedy);
    }
    return new Access({
      client: createKubeClient({ kubeConfig, userAgent: USER_AGENT, fieldManager: USER_AGENT }),
      pods: createPodAccess(kubeConfig, USER_AGENT),
      namespace: where.namespace ?? context.namespace ?? "default",
      contextName,
      call: { deadlineMs: where.timeoutMs, signal: where.signal },
    });
  }

  close(): void {
    this.client.close();
    this.pods.close();
  }

  /** The ImCluster of this name, or the only one. @throws CliFault that names those that there are */
  async cluster(name: string | undefined): Promise<ImCluster> {
    const all = await this.all(IM_CLUSTER);
    const found = name === undefined ? all[0] : all.find(({ metadata }) => metadata.name === name);
    if (found && (name !== undefined || all.length === 1)) return found;
    const names = all.map(({ metadata }) => metadata.name);
    if (names.length === 0)
      throw new CliFault(
        `there is no ImCluster in namespace ${this.namespace}`,
        "Name another by -n; `kubectl get imc -A` shows where there are any.",
      );
    const problem = name === undefined ? `there are ${names.length} ImClusters` : `there is no ImCluster ${name}`;
    throw new CliFault(`${problem} in namespace ${this.namespace}`, `Name one of ${names.join(", ")}.`);
  }

  /** Every object of a kind in the namespace. */
  async all<T extends KubeObject>(resource: Resource<T>, labels: Readonly<Record<string, string>> = {}): Promise<T[]> {
    const labelSelector = formatLabels(labels);
    const items: T[] = [];
    let next: string | undefined;
    for (let pages = 0; pages < MAX_PAGES; pages++) {
      const page = await this.client.list(resource, this.namespace, { ...this.call, labelSelector, continue: next });
      items.push(...page.items);
      next = page.continue;
      if (next === undefined) return items;
    }
    throw new KubeError(413, "TooLarge", `more than ${items.length} objects of kind ${resource.kind}`);
  }

  /** Pods of an ImCluster by name, of one component or all. */
  async podsOf(cluster: string, component?: string): Promise<Pod[]> {
    const labels = { [LABEL.cluster]: cluster, ...(component ? { [LABEL.component]: component } : {}) };
    const pods = await this.all(PODS, labels);
    return pods.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  }

  /** @returns undefined when there is none; a sentence when it may not be read */
  async secret(name: string): Promise<Secret | string | undefined> {
    return await readable(this.client.get(SECRETS, this.namespace, name, this.call));
  }
}

/** A sentence in place of what the caller has no right to. */
export async function readable<T>(asked: Promise<T>): Promise<T | string> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof KubeError && error.status === 403) return error.message;
    throw error;
  }
}

function readKubeConfig({ kubeconfig, context }: Where) {
  if (kubeconfig !== undefined && !existsSync(kubeconfig))
    throw new CliFault(`there is no kubeconfig ${kubeconfig}`, "Name another by --kubeconfig.");
  try {
    return loadKubeConfig({ ...(kubeconfig ? { path: kubeconfig } : {}), ...(context ? { context } : {}) });
  } catch (cause) {
    const message = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
    throw new CliFault(`the kubeconfig cannot be read: ${message}`, "Name another by --kubeconfig or KUBECONFIG.", {
      cause,
    });
  }
}
