// SPDX-License-Identifier: Apache-2.0
import type { Logger } from "#lib/logger.ts";
import { IM_CLUSTER } from "../api/resource.ts";
import type { ImCluster } from "../api/v1alpha1.ts";
import type { KubeClient } from "../kube/client.ts";
import { KubeError } from "../kube/kube-error.ts";
import { hasFinalizer, isControlledBy } from "../kube/owner.ts";
import { type KubeObject, PODS, type Pod, type Resource } from "../kube/types.ts";
import { FINALIZER, LABEL } from "./names.ts";
import type { ObjectView } from "./object-view.ts";

/**
 * Deletion of an ImCluster: nobody is left to deliver to, so nothing is drained. The pods lose our finalizer, then the cluster
 * loses its own, and everything goes by its owner reference.
 */
export class Cleanup {
  readonly #client: KubeClient;
  readonly #pods: Pick<ObjectView<Pod>, "list">;
  readonly #log: Logger;

  /** @param options.pods entry pods by their labels */
  constructor(options: { client: KubeClient; pods: Pick<ObjectView<Pod>, "list">; log: Logger }) {
    this.#client = options.client;
    this.#pods = options.pods;
    this.#log = options.log;
  }

  /** @returns false when somebody wrote in between and it has to be run again */
  async run(cluster: ImCluster): Promise<boolean> {
    if (!hasFinalizer(cluster, FINALIZER.cluster)) return true;
    for (const pod of await this.#heldPods(cluster)) {
      if (!(await this.#drop(PODS, pod, FINALIZER.entry))) return false;
    }
    const isDone = await this.#drop(IM_CLUSTER, cluster, FINALIZER.cluster);
    if (isDone) this.#log.info({ cluster: cluster.metadata.name, namespace: cluster.metadata.namespace }, "deleted");
    return isDone;
  }

  /**
   * Listed afresh and without labels: a pod whose labels somebody changed is not in the cache, and would hang for ever. Those of the
   * cache as well: one that a list of the past does not have would hang, too.
   */
  async #heldPods(cluster: ImCluster): Promise<Pod[]> {
    const { name, namespace = "", uid = "" } = cluster.metadata;
    const pods = this.#pods.list(namespace, { [LABEL.cluster]: name });
    let next: string | undefined;
    do {
      const page = await this.#client.list(PODS, namespace, next ? { continue: next } : {});
      pods.push(...page.items);
      next = page.continue;
    } while (next);
    const held = pods.filter((pod) => isControlledBy(pod, uid) && hasFinalizer(pod, FINALIZER.entry));
    return [...new Map(held.map((pod) => [pod.metadata.uid, pod])).values()];
  }

  async #drop<T extends KubeObject>(resource: Resource<T>, object: T, finalizer: string): Promise<boolean> {
    const { namespace, name, uid, resourceVersion, finalizers = [] } = object.metadata;
    const metadata = { uid, resourceVersion, finalizers: finalizers.filter((one) => one !== finalizer) };
    try {
      await this.#client.patchMerge(resource, namespace, name, { metadata });
      return true;
    } catch (error) {
      if (error instanceof KubeError && error.isConflict) return false;
      throw error;
    }
  }
}
