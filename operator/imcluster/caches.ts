// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { Logger } from "#lib/logger.ts";
import { IM_CLUSTER } from "../api/resource.ts";
import type { ImCluster } from "../api/v1alpha1.ts";
import type { KubeClient } from "../kube/client.ts";
import { Reflector, type ReflectorMetrics, type ReflectorView } from "../kube/reflector.ts";
import {
  DEPLOYMENTS,
  JOBS,
  type KubeObject,
  NETWORK_POLICIES,
  NODES,
  type Node,
  PERSISTENT_VOLUME_CLAIMS,
  POD_DISRUPTION_BUDGETS,
  PODS,
  type Pod,
  type Resource,
  SERVICE_ACCOUNTS,
  SERVICES,
  STATEFUL_SETS,
} from "../kube/types.ts";
import { isNodeLeaving, whatCountsOfNode } from "./drain-cause.ts";
import { isSameJson } from "./hash.ts";
import { KindCache } from "./kind-cache.ts";
import { LABEL } from "./names.ts";
import { ObjectView } from "./object-view.ts";

/** Kinds of owned objects that are watched. Secrets are not: the operator may not watch them. */
export const OWNED_KINDS: readonly Resource[] = [
  SERVICES,
  SERVICE_ACCOUNTS,
  PERSISTENT_VOLUME_CLAIMS,
  DEPLOYMENTS,
  STATEFUL_SETS,
  JOBS,
  POD_DISRUPTION_BUDGETS,
  NETWORK_POLICIES,
];

export interface CachesOptions {
  client: KubeClient;
  /** Empty: all. */
  namespaces: readonly string[];
  /** Taints of nodes that are being emptied; none: nodes are not watched. Needs rights on nodes, which are of no namespace. */
  drainTaints: readonly string[];
  clock: Clock;
  log: Logger;
  metrics?: ReflectorMetrics;
}

/** Live copies of everything the operator looks at, with its own writes laid over. */
export class Caches {
  readonly #options: CachesOptions;
  readonly #reflectors: Reflector<KubeObject>[] = [];
  readonly #all: ReflectorView<KubeObject>[] = [];
  readonly clusters: ObjectView<ImCluster>;
  readonly pods: ObjectView<Pod>;
  readonly #owned = new Map<string, ObjectView<KubeObject>>();
  readonly #drainTaints: readonly string[];
  readonly #nodes: ReflectorView<Node> | undefined;

  /** @param onChange namespace and name of the ImCluster that a change is about */
  constructor(options: CachesOptions, onChange: (namespace: string, cluster: string) => void) {
    this.#options = options;
    const clusters = this.#cache(options, IM_CLUSTER, undefined);
    this.clusters = new ObjectView(clusters, options.clock);
    const pods = this.#cache(options, PODS, LABEL.cluster);
    this.pods = new ObjectView(pods, options.clock);
    for (const resource of OWNED_KINDS) {
      const cache = this.#cache(options, resource, LABEL.cluster);
      this.#owned.set(resource.plural, new ObjectView(cache, options.clock));
    }
    clusters.on(({ object, old, type }) => {
      const { namespace = "", name } = object.metadata;
      if (type !== "updated" || !old || isWorthALook(old, object)) onChange(namespace, name);
    });
    this.#drainTaints = options.drainTaints;
    this.#nodes = options.drainTaints.length > 0 ? this.#watchNodes(options, pods, onChange) : undefined;
    for (const cache of this.#all.filter((one) => one !== (clusters as ReflectorView<KubeObject>))) {
      cache.on(({ object }) => {
        const cluster = object.metadata.labels?.[LABEL.cluster];
        if (cluster) onChange(object.metadata.namespace ?? "", cluster);
      });
    }
  }

  /** Is this node being emptied? "unknown" before nodes were listed; no where they are not looked at. */
  isNodeLeaving(name: string | undefined): boolean | "unknown" {
    if (this.#nodes && !this.#nodes.isSynced) return "unknown";
    const node = name ? this.#nodes?.get(undefined, name) : undefined;
    return node !== undefined && isNodeLeaving(node, this.#drainTaints);
  }

  /** Nothing waits for it: without rights on nodes everything else works. */
  #watchNodes(
    options: CachesOptions,
    pods: ReflectorView<Pod>,
    onChange: (namespace: string, cluster: string) => void,
  ): ReflectorView<Node> {
    const { client, clock, log, metrics } = options;
    const nodes = new Reflector<Node>({
      ...{ client, resource: NODES, clock, log, keep: whatCountsOfNode },
      ...(metrics ? { metrics } : {}),
    });
    this.#reflectors.push(nodes as unknown as Reflector<KubeObject>);
    nodes.on(({ object, old, type }) => {
      const isLeaving = type !== "deleted" && isNodeLeaving(object, this.#drainTaints);
      if (isLeaving === (old !== undefined && isNodeLeaving(old, this.#drainTaints))) return;
      for (const { metadata, spec } of pods.list()) {
        const cluster = metadata.labels?.[LABEL.cluster];
        if (cluster && spec.nodeName === object.metadata.name) onChange(metadata.namespace ?? "", cluster);
      }
    });
    return nodes;
  }

  /**
   * Asks the server about writes of ours to a cluster that are uncertain or overdue. By lists of one name: no right is needed
   * besides those of watching.
   *
   * @throws KubeError when the server cannot be asked
   */
  async confirm(namespace: string, cluster: string): Promise<void> {
    const { client } = this.#options;
    const ask = async <T extends KubeObject>(view: ObjectView<T>, resource: Resource<T>, label?: string) => {
      const isMeant = ({ metadata }: T) =>
        metadata.namespace === namespace && (label ? metadata.labels?.[label] : metadata.name) === cluster;
      await view.confirm(isMeant, async ({ metadata }) => {
        const fieldSelector = `metadata.name=${metadata.name}`;
        const { items, resourceVersion } = await client.list(resource, namespace, { fieldSelector });
        return { object: items[0], resourceVersion };
      });
    };
    await ask(this.clusters, IM_CLUSTER);
    await ask(this.pods, PODS, LABEL.cluster);
    for (const resource of OWNED_KINDS) await ask(this.owned(resource), resource, LABEL.cluster);
  }

  /** View of an owned kind. */
  owned<T extends KubeObject>(resource: Resource<T>): ObjectView<T> {
    const view = this.#owned.get(resource.plural);
    if (!view) throw new TypeError(`${resource.plural} are not watched`);
    return view as unknown as ObjectView<T>;
  }

  start(): void {
    for (const reflector of this.#reflectors) reflector.start();
  }

  async synced(): Promise<void> {
    await Promise.all(this.#all.map((cache) => cache.synced()));
  }

  get isSynced(): boolean {
    return this.#all.every((cache) => cache.isSynced);
  }

  async close(): Promise<void> {
    await Promise.all(this.#reflectors.map((reflector) => reflector.close()));
  }

  #cache<T extends KubeObject>(
    options: CachesOptions,
    resource: Resource<T>,
    label: string | undefined,
  ): ReflectorView<T> {
    const { client, clock, log, metrics } = options;
    const namespaces = options.namespaces.length > 0 ? options.namespaces : [undefined];
    const reflectors = namespaces.map(
      (namespace) =>
        new Reflector<T>({
          ...{ client, resource, clock, log },
          ...(namespace ? { namespace } : {}),
          ...(label ? { labelSelector: label, indexedLabel: label } : {}),
          ...(metrics ? { metrics } : {}),
        }),
    );
    this.#reflectors.push(...(reflectors as unknown as Reflector<KubeObject>[]));
    const cache = new KindCache(reflectors);
    this.#all.push(cache as unknown as ReflectorView<KubeObject>);
    return cache;
  }
}

/** Our own status writes are no news; changes of spec, metadata that we read, and deletion are. */
function isWorthALook(old: ImCluster, now: ImCluster): boolean {
  const { generation, deletionTimestamp, finalizers = [], uid } = now.metadata;
  const before = old.metadata;
  return (
    before.generation !== generation ||
    before.deletionTimestamp !== deletionTimestamp ||
    before.uid !== uid ||
    !isSameJson(before.annotations, now.metadata.annotations) ||
    (before.finalizers ?? []).join() !== finalizers.join()
  );
}
