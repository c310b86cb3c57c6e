// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { toImError } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import { IM_CLUSTER } from "../api/resource.ts";
import { API_VERSION, type ImCluster, type ImClusterStatus, KIND } from "../api/v1alpha1.ts";
import type { KubeClient } from "../kube/client.ts";
import { KubeError } from "../kube/kube-error.ts";
import { splitKey } from "../kube/owner.ts";
import type { WorkOutcome } from "../kube/work-queue.ts";
import type { Caches } from "./caches.ts";
import type { Cleanup } from "./cleanup.ts";
import type { Executor, PassResult } from "./executor.ts";
import { isSameJson } from "./hash.ts";
import { nextLookMs, streakAfter } from "./next-look.ts";
import { AUDIT, ClusterMemory, type Observer } from "./observe.ts";
import type { ObservedCluster } from "./observed-cluster.ts";
import { planCluster } from "./plan.ts";
import type { RouteAudit } from "./route-audit.ts";
import { statusOf } from "./status.ts";
import { isPaused } from "./wanted.ts";

export interface ControllerOptions {
  client: KubeClient;
  caches: Caches;
  observer: Observer;
  executor: Executor;
  cleanup: Cleanup;
  routeAudit: RouteAudit;
  clock: Clock;
  log: Logger;
  onStatus?(cluster: ImCluster, status: ImClusterStatus | undefined): void;
}

/** A longer audit goes on while the next passes do what else there is to do. */
const AUDIT_WAIT_MS = 500;
const NOTHING_DONE: PassResult = { hasProgress: false, errors: [], waits: [], waitMs: undefined, isRetryable: false };

/** load -> observe -> plan -> apply -> status, for one ImCluster at a time. Keeps nothing that it could not do without. */
export class Controller {
  readonly #options: ControllerOptions;
  readonly #memories = new Map<string, ClusterMemory>();

  constructor(options: ControllerOptions) {
    this.#options = options;
  }

  /**
   * One pass. @param key `<namespace>/<name>`
   * @returns when to look again; undefined when the cluster is gone
   * @throws KubeError when the state could not be read or the status not written: the queue tries again later
   */
  async reconcile(key: string): Promise<WorkOutcome> {
    const { namespace = "", name } = splitKey(key);
    await this.#options.caches.confirm(namespace, name);
    const cluster = this.#options.caches.clusters.get(namespace, name);
    if (!cluster) {
      this.#forget(key);
      return undefined;
    }
    if (cluster.metadata.deletionTimestamp) {
      const isDone = await this.#options.cleanup.run(cluster);
      return isDone ? undefined : { requeueAfterMs: 1_000 };
    }
    const memory = this.#memory(cluster);
    const observed = await this.#options.observer.observe(cluster, memory);
    const result = isPaused(cluster) ? NOTHING_DONE : await this.#apply(observed, memory);
    if (!isPaused(cluster)) await this.#audit(observed, memory);
    await this.#writeStatus({ ...observed, routes: memory.routes }, result);
    memory.streak = streakAfter(memory.streak, result);
    return { requeueAfterMs: nextLookMs(memory.streak, result) };
  }

  #apply(observed: ObservedCluster, memory: ClusterMemory): Promise<PassResult> {
    const who = this.#options.observer.identity(observed.cluster, observed.secrets, memory);
    return this.#options.executor.run(planCluster(observed), { observed, memory, who });
  }

  async #audit(observed: ObservedCluster, memory: ClusterMemory): Promise<void> {
    const who = this.#options.observer.identity(observed.cluster, observed.secrets, memory);
    const { clock, routeAudit } = this.#options;
    const look = () => routeAudit.run(observed, memory.routes, who);
    const seen = await memory.slow.within(AUDIT, clock, clock.nowMs() + AUDIT_WAIT_MS, look);
    memory.routes = seen ?? memory.routes;
  }

  /** Only when it differs: the write would wake every watcher. */
  async #writeStatus(observed: ObservedCluster, result: PassResult): Promise<void> {
    const { client, caches, onStatus } = this.#options;
    const { cluster } = observed;
    const status = statusOf(observed, { errors: result.errors, waits: result.waits });
    onStatus?.(cluster, status);
    if (isSameJson(status, cluster.status)) return;
    const { name, namespace, uid } = cluster.metadata;
    const object = {
      apiVersion: API_VERSION,
      kind: KIND,
      metadata: { name, namespace, uid } as ImCluster["metadata"],
      status,
    };
    try {
      const written = await client.applyStatus(IM_CLUSTER, object);
      if (written) caches.clusters.wrote(written);
    } catch (error) {
      // The object was replaced by another of the same name: the next pass is about that one.
      if (!(error instanceof KubeError && error.isConflict)) throw toImError(error);
    }
  }

  #memory(cluster: ImCluster): ClusterMemory {
    const key = `${cluster.metadata.namespace}/${cluster.metadata.name}`;
    const known = this.#memories.get(key);
    if (known && known.uid === cluster.metadata.uid) return known;
    if (known) this.#options.observer.forget(known.uid);
    const memory = new ClusterMemory(cluster.metadata.uid ?? "");
    this.#memories.set(key, memory);
    return memory;
  }

  #forget(key: string): void {
    const { namespace = "", name } = splitKey(key);
    this.#options.observer.forget(this.#memories.get(key)?.uid ?? "");
    this.#memories.delete(key);
    this.#options.onStatus?.({ metadata: { namespace, name } } as ImCluster, undefined);
  }
}
