// SPDX-License-Identifier: Apache-2.0
import { createLogger, silentLogger } from "#lib/logger.ts";
import { Metrics } from "#lib/metrics.ts";
import { IM_CLUSTER } from "../../../operator/api/resource.ts";
import type { ConditionStatus, ImCluster } from "../../../operator/api/v1alpha1.ts";
import type { Fleet } from "../../../operator/imcluster/fleet-client.ts";
import type { KubeClient } from "../../../operator/kube/client.ts";
import type { EventInput } from "../../../operator/kube/events.ts";
import { PODS, type Pod } from "../../../operator/kube/types.ts";
import { createOperatorMetrics, type OperatorMetrics } from "../../../operator/metrics.ts";
import { Operator } from "../../../operator/operator.ts";
import { waitUntil } from "../../harness/processes.ts";
import { FakeFleet } from "./fake-fleet.ts";
import { type KubeletOptions, TestKubelet } from "./kubelet.ts";
import { type ImApiServer, imCluster, RESTRICTED } from "./shared-api-server.ts";

export const OPERAND_IMAGE = "registry.example/imcluster:0.1.0";
const WAIT_MS = 30_000;

/** One namespace with an operator for it, a kubelet and a fleet: everything an ImCluster needs to become Ready. */
export class Bench {
  readonly namespace: string;
  readonly fleet = new FakeFleet();
  readonly events: EventInput[] = [];
  /** Passes of its operators over the cluster. */
  passes = 0;
  readonly client: KubeClient;
  readonly #kubeletOptions: KubeletOptions;
  #kubelet: TestKubelet | undefined;
  #operator: Operator | undefined;

  private constructor(client: KubeClient, namespace: string, options: Partial<KubeletOptions>) {
    this.client = client;
    this.namespace = namespace;
    this.#kubeletOptions = { podIp: () => "127.0.0.1", isEntryReady: (pod) => this.fleet.isReady(pod), ...options };
  }

  static async open(server: ImApiServer, options: Partial<KubeletOptions> = {}): Promise<Bench> {
    const bench = new Bench(server.client, await server.makeNamespace(RESTRICTED), options);
    bench.startKubelet();
    return bench;
  }

  startKubelet(): void {
    this.#kubelet = new TestKubelet(this.client, this.namespace, this.#kubeletOptions);
    this.#kubelet.start();
  }

  async stopKubelet(): Promise<void> {
    await this.#kubelet?.stop();
    this.#kubelet = undefined;
  }

  /** Of nodes that the operator watches; none: it watches no nodes. */
  drainTaints: readonly string[] = [];

  /** Starts an operator, by default with the administrator's client. */
  async startOperator(client: KubeClient = this.client, fleet: Fleet = this.fleet): Promise<Operator> {
    const operator = new Operator({
      ...{ client, fleet },
      log: process.env.TEST_LOG ? createLogger("operator", "debug") : silentLogger,
      namespaces: [this.namespace],
      drainTaints: this.drainTaints,
      workers: 1,
      events: { record: (_object, event) => this.events.push(event) },
      metrics: this.#metrics(),
      operands: {
        operandImage: OPERAND_IMAGE,
        postgresImage: "registry.example/postgres:18",
        redisImage: "registry.example/redis:7",
        operatorVersion: "0.1.0",
        clusterDomain: "cluster.local",
        operatorNamespace: "imcluster-system",
      },
    });
    this.#operator = operator;
    operator.watch();
    await operator.work();
    return operator;
  }

  #metrics(): OperatorMetrics {
    const metrics = createOperatorMetrics(new Metrics());
    return { ...metrics, queue: { ...metrics.queue, processed: () => void this.passes++ } };
  }

  async stopOperator(): Promise<void> {
    await this.#operator?.close();
    this.#operator = undefined;
  }

  async close(): Promise<void> {
    await this.stopOperator();
    await this.stopKubelet();
  }

  async create(spec: unknown = {}, name = "demo"): Promise<ImCluster> {
    const made = await this.client.create(IM_CLUSTER, imCluster(this.namespace, spec, name));
    if (made === "exists") throw new Error(`${name} exists`);
    return made;
  }

  async get(name = "demo"): Promise<ImCluster> {
    const cluster = await this.client.get(IM_CLUSTER, this.namespace, name);
    if (!cluster) throw new Error(`there is no ImCluster ${name}`);
    return cluster;
  }

  async patchSpec(spec: object, name = "demo"): Promise<void> {
    await this.client.patchMerge(IM_CLUSTER, this.namespace, name, { spec });
  }

  /** Entry pods, also those that are being deleted. */
  async entryPods(): Promise<Pod[]> {
    const labelSelector = "app.kubernetes.io/component=entry";
    return (await this.client.list(PODS, this.namespace, { labelSelector })).items;
  }

  /** Waits until a status satisfies `condition`; says the last status when it never does. */
  async until(
    what: string,
    condition: (cluster: ImCluster) => boolean | Promise<boolean>,
    timeoutMs = WAIT_MS,
  ): Promise<ImCluster> {
    let last = await this.get();
    try {
      await waitUntil(
        what,
        async () => {
          last = await this.get();
          return condition(last);
        },
        timeoutMs,
      );
    } catch (error) {
      throw new Error(`${what}; last status: ${JSON.stringify(last.status, undefined, 1)}`, { cause: error });
    }
    return last;
  }

  /** Waits until the phase is Ready for the present generation: what is asked for is there, though extlogic may still come up. */
  untilReady(): Promise<ImCluster> {
    return this.until("Ready", isReady);
  }

  /** Ready, and nothing left to bring up: what a test of the whole status waits for. */
  untilSettled(): Promise<ImCluster> {
    return this.until(
      "Ready and not Progressing",
      (cluster) => isReady(cluster) && conditionStatus(cluster, "Progressing") === "False",
    );
  }
}

function isReady({ status, metadata }: ImCluster): boolean {
  return status?.phase === "Ready" && status.observedGeneration === metadata.generation;
}

export function conditionOf({ status }: ImCluster, type: string): ConditionStatus | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
}

export function conditionStatus(cluster: ImCluster, type: string): string | undefined {
  return conditionOf(cluster, type)?.status;
}

/** What a cluster is brought up with. */
export interface ClusterOptions extends Partial<KubeletOptions> {
  /** Of each entry at its start. */
  connections?: number;
}

/** Runs `body` on a cluster that is ready, and takes everything down. */
export async function withCluster(
  server: ImApiServer,
  spec: object,
  body: (bench: Bench) => Promise<void>,
  { connections, ...options }: ClusterOptions = {},
): Promise<void> {
  const bench = await Bench.open(server, options);
  try {
    if (connections !== undefined) bench.fleet.connectionsOf = () => connections;
    await bench.startOperator();
    await bench.create(spec);
    await bench.untilReady();
    await body(bench);
  } finally {
    await bench.close();
  }
}
