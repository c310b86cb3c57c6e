// SPDX-License-Identifier: Apache-2.0
import type { KubeClient } from "../../../operator/kube/client.ts";
import { KubeError } from "../../../operator/kube/kube-error.ts";
import {
  DEPLOYMENTS,
  JOBS,
  type KubeObject,
  PODS,
  type Resource,
  SERVICES,
  STATEFUL_SETS,
} from "../../../operator/kube/types.ts";
import { type KubeletOptions, PlayedControllers } from "./played-controllers.ts";

export type { KubeletOptions };

const POLL_MS = 60;

/** Plays everything that is not here, in one namespace: looks at it again and again. */
export class TestKubelet {
  readonly #client: KubeClient;
  readonly #namespace: string;
  readonly #played: PlayedControllers;
  readonly #pollMs: number;
  #isStopped = false;
  #running: Promise<void> | undefined;

  constructor(client: KubeClient, namespace: string, options: KubeletOptions) {
    this.#client = client;
    this.#namespace = namespace;
    this.#played = new PlayedControllers(client, options);
    this.#pollMs = options.pollMs ?? POLL_MS;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      try {
        await this.#tick();
      } catch (error) {
        // A slow or lost answer is no end of a kubelet: it looks again.
        if (!(error instanceof KubeError && error.retryable)) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, this.#pollMs));
    }
  }

  async #tick(): Promise<void> {
    const [pods, jobs, deployments, statefulSets, services] = await Promise.all([
      this.#list(PODS),
      this.#list(JOBS),
      this.#list(DEPLOYMENTS),
      this.#list(STATEFUL_SETS),
      this.#list(SERVICES),
    ]);
    await Promise.all([
      ...pods.map((pod) => this.#played.pod(pod)),
      ...jobs.map((job) => this.#played.job(job)),
      ...deployments.map((deployment) => this.#played.deployment(deployment, pods)),
      ...statefulSets.map((set) => this.#played.statefulSet(set)),
      ...services.map((service) => this.#played.service(service)),
    ]);
  }

  async #list<T extends KubeObject>(resource: Resource<T>): Promise<T[]> {
    return (await this.#client.list(resource, this.#namespace)).items;
  }
}
