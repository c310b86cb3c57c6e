// SPDX-License-Identifier: Apache-2.0
import { systemClock } from "#lib/clock.ts";
import { silentLogger } from "#lib/logger.ts";
import { PlayedControllers } from "../../e2e/operator/support/played-controllers.ts";
import { LABEL } from "../../operator/imcluster/names.ts";
import type { KubeClient } from "../../operator/kube/client.ts";
import { KubeError } from "../../operator/kube/kube-error.ts";
import { objectKey, splitKey } from "../../operator/kube/owner.ts";
import { Reflector } from "../../operator/kube/reflector.ts";
import {
  DEPLOYMENTS,
  JOBS,
  type KubeObject,
  PODS,
  type Resource,
  SERVICES,
  STATEFUL_SETS,
} from "../../operator/kube/types.ts";
import { WorkQueue } from "../../operator/kube/work-queue.ts";
import type { ControlServers } from "./control-servers.ts";

const WORKERS = 16;

interface Played {
  reflector: Reflector<KubeObject>;
  play(object: KubeObject): Promise<void>;
}

/** Plays everything that is not here, in one namespace, for thousands of pods: it watches, and is quiet when nothing happens. */
export class WatchingKubelet {
  readonly #queue = new WorkQueue();
  readonly #kinds = new Map<string, Played>();
  #running: Promise<void> | undefined;

  constructor(client: KubeClient, namespace: string, servers: ControlServers) {
    const played = new PlayedControllers(client, { podIp: (pod) => servers.addressOf(pod) });
    const add = <T extends KubeObject>(resource: Resource<T>, play: (object: T) => Promise<void>): void => {
      const reflector = new Reflector<T>({ client, resource, namespace, clock: systemClock, log: silentLogger });
      reflector.on(({ object, type }) => {
        const { metadata } = object;
        if (type !== "deleted") this.#queue.add(`${resource.plural}/${objectKey(metadata.namespace, metadata.name)}`);
      });
      const erased = { reflector, play } as unknown as Played;
      this.#kinds.set(resource.plural, erased);
    };
    add(PODS, async (pod) => {
      await servers.serve(pod);
      await played.pod(pod);
    });
    add(JOBS, (job) => played.job(job));
    add(STATEFUL_SETS, (set) => played.statefulSet(set));
    add(SERVICES, (service) => played.service(service));
    add(DEPLOYMENTS, async (deployment) => {
      // Asked, not watched: what was made a moment ago must be in it.
      const labelSelector = `${LABEL.cluster}=${deployment.metadata.labels?.[LABEL.cluster]}`;
      const pods = await client.list(PODS, namespace, { labelSelector });
      await played.deployment(deployment, pods.items);
    });
  }

  start(): void {
    for (const { reflector } of this.#kinds.values()) reflector.start();
    this.#running = this.#queue.run(
      WORKERS,
      async (key) => {
        await this.#play(key);
        return undefined;
      },
      (key, error) => {
        // A slow or lost answer is no end of a kubelet: it looks again.
        if (!(error instanceof KubeError && error.retryable)) console.error(`${key}:`, error);
      },
    );
  }

  async stop(): Promise<void> {
    this.#queue.shutdown();
    await this.#running;
    await Promise.all([...this.#kinds.values()].map(({ reflector }) => reflector.close()));
  }

  async #play(key: string): Promise<void> {
    const slash = key.indexOf("/");
    const kind = this.#kinds.get(key.slice(0, slash));
    const { namespace, name } = splitKey(key.slice(slash + 1));
    const object = kind?.reflector.get(namespace, name);
    if (object) await kind?.play(object);
  }
}
