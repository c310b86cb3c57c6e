// SPDX-License-Identifier: Apache-2.0
import { type Clock, systemClock } from "#lib/clock.ts";
import type { Logger } from "#lib/logger.ts";
import type { FleetView } from "./admission/eviction-guard.ts";
import type { KnownClusters } from "./admission/update-warnings.ts";
import type { ImCluster } from "./api/v1alpha1.ts";
import { Caches } from "./imcluster/caches.ts";
import { Cleanup } from "./imcluster/cleanup.ts";
import { Controller } from "./imcluster/controller.ts";
import { ClusterEvents } from "./imcluster/events.ts";
import { Executor } from "./imcluster/executor.ts";
import type { Fleet } from "./imcluster/fleet-client.ts";
import { LABEL } from "./imcluster/names.ts";
import { ObjectReader } from "./imcluster/object-reader.ts";
import { Observer } from "./imcluster/observe.ts";
import type { OperandConfig } from "./imcluster/resources/context.ts";
import { RouteAudit } from "./imcluster/route-audit.ts";
import type { KubeClient } from "./kube/client.ts";
import type { EventSink } from "./kube/events.ts";
import { objectKey } from "./kube/owner.ts";
import { CONFIG_MAPS, SECRETS } from "./kube/types.ts";
import { WorkQueue } from "./kube/work-queue.ts";
import type { OperatorMetrics } from "./metrics.ts";

export interface OperatorOptions {
  client: KubeClient;
  fleet: Fleet;
  events: EventSink;
  operands: OperandConfig;
  /** Empty: all. */
  namespaces: readonly string[];
  /** Taints of nodes that are being emptied; default none: nodes are not watched. */
  drainTaints?: readonly string[];
  workers: number;
  log: Logger;
  clock?: Clock;
  metrics?: OperatorMetrics;
}

/** Watches and reconciles. One runs in the process that leads; tests run several in one process. */
export class Operator {
  readonly #options: OperatorOptions;
  readonly #caches: Caches;
  readonly #queue: WorkQueue;
  readonly #controller: Controller;
  #running: Promise<void> | undefined;

  constructor(options: OperatorOptions) {
    this.#options = options;
    const { client, fleet, log, metrics, operands } = options;
    const clock = options.clock ?? systemClock;
    this.#queue = new WorkQueue({ clock, ...(metrics ? { metrics: metrics.queue } : {}) });
    this.#caches = new Caches(
      {
        client,
        clock,
        log,
        namespaces: options.namespaces,
        drainTaints: options.drainTaints ?? [],
        ...(metrics ? { metrics: metrics.reflectors } : {}),
      },
      (namespace, cluster) => this.#queue.add(objectKey(namespace, cluster)),
    );
    const caches = this.#caches;
    const secrets = new ObjectReader(client, SECRETS, clock);
    const configMaps = new ObjectReader(client, CONFIG_MAPS, clock);
    const events = new ClusterEvents(options.events);
    const observer = new Observer({ client, caches, secrets, configMaps, fleet, config: operands, clock });
    const hooks = metrics ? { onAction: metrics.onAction, onDrained: metrics.onDrained } : {};
    const executor = new Executor({ client, caches, secrets, configMaps, fleet, events, clock, log, ...hooks });
    const cleanup = new Cleanup({ client, pods: caches.pods, log });
    const routeAudit = new RouteAudit({ fleet, events, ...(metrics ? { onGhosts: metrics.onGhosts } : {}) });
    const onStatus = metrics ? { onStatus: metrics.onStatus } : {};
    this.#controller = new Controller({
      client,
      caches,
      observer,
      executor,
      cleanup,
      routeAudit,
      clock,
      log,
      ...onStatus,
    });
  }

  /** Starts watching; {@link work} starts the workers. A candidate that does not lead watches too, so it can take over at once. */
  watch(): void {
    this.#caches.start();
  }

  /** What the webhooks look at; also in a candidate that does not lead. */
  get fleetView(): FleetView & KnownClusters {
    const { pods, clusters } = this.#caches;
    return {
      cluster: (namespace, name) => clusters.get(namespace, name),
      pod: (namespace, name) => pods.get(namespace, name),
      clusterOf: ({ metadata }) => clusters.get(metadata.namespace ?? "", metadata.labels?.[LABEL.cluster] ?? ""),
    };
  }

  /** As last heard from the API server; also in a candidate that does not lead. */
  get clusters(): ImCluster[] {
    return this.#caches.clusters.watched();
  }

  get isSynced(): boolean {
    return this.#caches.isSynced;
  }

  /** Resolves when the caches are filled and the workers run. */
  async work(): Promise<void> {
    await this.#caches.synced();
    const { log, workers } = this.#options;
    this.#running = this.#queue.run(
      workers,
      (key) => this.#controller.reconcile(key),
      (key, err) => log.warn({ err, key }, "pass failed, tried again later"),
    );
  }

  /** Lets passes under way finish. */
  async close(): Promise<void> {
    this.#queue.shutdown();
    await this.#running;
    await this.#caches.close();
  }
}
