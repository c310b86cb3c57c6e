// SPDX-License-Identifier: Apache-2.0
import type { KubeClient } from "../../../operator/kube/client.ts";
import {
  DEPLOYMENTS,
  type Deployment,
  JOBS,
  type Job,
  type KubeObject,
  PODS,
  type Pod,
  type Resource,
  SERVICES,
  type Service,
  STATEFUL_SETS,
  type StatefulSet,
} from "../../../operator/kube/types.ts";

/** What the test may decide about pods. */
export interface KubeletOptions {
  /** Is the process in this entry pod ready? Default: always. */
  isEntryReady?(pod: Pod): boolean;
  /** How often the container of this entry pod was started again. Default 0. */
  restartsOf?(pod: Pod): number;
  /** Address of a pod, loopback. */
  podIp(pod: Pod): string;
  /** How a migration Job ends. Default `complete`. */
  migration?(job: Job): "complete" | "fail" | "run";
  /** LoadBalancer address; `undefined` gives none. */
  loadBalancerIp?(): string | undefined;
  /** It looks around this often. Default 60 ms. */
  pollMs?: number;
  /** Should this pod start at all? Default: yes. */
  starts?(pod: Pod): boolean;
}

const COMPONENT = "app.kubernetes.io/component";
const CLUSTER = "imcluster.io/cluster";

/**
 * What kubelet, scheduler, load balancer and the controllers of Deployments, StatefulSets and Jobs would do about an object: they
 * write its status (and make logic pods). Does nothing when that is done already.
 */
export class PlayedControllers {
  readonly #client: KubeClient;
  readonly #options: KubeletOptions;
  #madePods = 0;

  constructor(client: KubeClient, options: KubeletOptions) {
    this.#client = client;
    this.#options = options;
  }

  async pod(pod: Pod): Promise<void> {
    if (pod.status?.phase === "Failed" || pod.status?.phase === "Succeeded") return;
    if (pod.metadata.deletionTimestamp || this.#options.starts?.(pod) === false) return;
    const isReady = pod.metadata.labels?.[COMPONENT] !== "entry" || (this.#options.isEntryReady?.(pod) ?? true);
    const was = pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
    const restartCount = this.#options.restartsOf?.(pod) ?? 0;
    const told = pod.status?.containerStatuses?.[0]?.restartCount ?? 0;
    if (pod.status?.phase === "Running" && was === isReady && told >= restartCount) return;
    const podIP = this.#options.podIp(pod);
    const name = pod.spec.containers[0]?.name ?? "";
    const started = { running: { startedAt: new Date().toISOString() } };
    await this.#patch(PODS, pod, {
      phase: "Running",
      podIP,
      podIPs: [{ ip: podIP }],
      conditions: [{ type: "Ready", status: isReady ? "True" : "False" }],
      containerStatuses: [{ name, ready: isReady, restartCount, image: "i", imageID: "i", state: started }],
    });
  }

  async job(job: Job): Promise<void> {
    if (job.status?.conditions?.some(({ status }) => status === "True")) return;
    const outcome = this.#options.migration?.(job) ?? "complete";
    const now = new Date().toISOString();
    if (outcome === "run") return;
    const types = outcome === "complete" ? ["SuccessCriteriaMet", "Complete"] : ["FailureTarget", "Failed"];
    const times = { lastTransitionTime: now, lastProbeTime: now };
    const conditions = types.map((type) => ({
      type,
      status: "True",
      reason: "Test",
      message: "said by the test",
      ...times,
    }));
    const ended = outcome === "complete" ? { completionTime: now, succeeded: 1 } : { failed: 7 };
    await this.#patch(JOBS, job, { startTime: job.status?.startTime ?? now, conditions, ...ended });
  }

  /** @param pods all of its namespace */
  async deployment(deployment: Deployment, pods: readonly Pod[]): Promise<void> {
    const isOwn = ({ metadata }: KubeObject): boolean =>
      [COMPONENT, CLUSTER].every((label) => metadata.labels?.[label] === deployment.metadata.labels?.[label]);
    const own = pods.filter(isOwn);
    const replicas = deployment.spec.replicas ?? 1;
    for (let missing = replicas - own.length; missing > 0; missing--) await this.#makePod(deployment);
    for (const pod of own.slice(replicas)) {
      await this.#client.delete(PODS, pod.metadata.namespace, pod.metadata.name, { gracePeriodSeconds: 0 });
    }
    const { generation } = deployment.metadata;
    const { status } = deployment;
    if (status?.observedGeneration === generation && status?.readyReplicas === replicas) return;
    const counts = { replicas, updatedReplicas: replicas, readyReplicas: replicas, availableReplicas: replicas };
    await this.#patch(DEPLOYMENTS, deployment, { observedGeneration: generation, ...counts });
  }

  async #makePod(deployment: Deployment): Promise<void> {
    const { metadata, spec } = deployment.spec.template;
    await this.#client.create(PODS, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name: `${deployment.metadata.name}-${this.#madePods++}-${process.pid}`,
        namespace: deployment.metadata.namespace ?? "",
        labels: { ...metadata?.labels },
        ownerReferences: [
          {
            apiVersion: "apps/v1",
            kind: "Deployment",
            name: deployment.metadata.name,
            uid: deployment.metadata.uid ?? "",
            controller: true,
          },
        ],
      },
      spec,
    });
  }

  async statefulSet(set: StatefulSet): Promise<void> {
    const { generation } = set.metadata;
    if (set.status?.observedGeneration === generation && set.status?.readyReplicas === 1) return;
    const counts = { replicas: 1, readyReplicas: 1, updatedReplicas: 1, availableReplicas: 1, currentReplicas: 1 };
    await this.#patch(STATEFUL_SETS, set, { observedGeneration: generation, ...counts });
  }

  async service(service: Service): Promise<void> {
    if (service.spec.type !== "LoadBalancer") return;
    const ip = this.#options.loadBalancerIp ? this.#options.loadBalancerIp() : "192.0.2.10";
    const now = service.status?.loadBalancer?.ingress?.[0]?.ip;
    if (now === ip) return;
    await this.#patch(SERVICES, service, { loadBalancer: { ingress: ip ? [{ ip }] : null } });
  }

  async #patch(resource: Resource, object: KubeObject, status: object): Promise<void> {
    const { namespace, name } = object.metadata;
    await this.#client.patchMerge(resource, namespace, name, { status }, { subresource: "status" });
  }
}
