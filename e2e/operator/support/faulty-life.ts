// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from "node:timers/promises";
import { IM_CLUSTER } from "../../../operator/api/resource.ts";
import type { ImCluster } from "../../../operator/api/v1alpha1.ts";
import { ANNOTATION, FINALIZER } from "../../../operator/imcluster/names.ts";
import type { KubeClient } from "../../../operator/kube/client.ts";
import { hasFinalizer } from "../../../operator/kube/owner.ts";
import { createKubeClient, loadKubeConfig } from "../../../operator/kube/rest-client.ts";
import { PODS } from "../../../operator/kube/types.ts";
import { ApiFaultProxy, type ProxiedCall } from "../../harness/api-fault-proxy.ts";
import type { ApiFaults } from "../../harness/api-faults.ts";
import { waitUntil } from "../../harness/processes.ts";
import { Bench } from "./bench.ts";
import { hookedClient } from "./counting-client.ts";
import { PodJudge } from "./pod-judge.ts";
import type { ImApiServer } from "./shared-api-server.ts";

/** Silence of a watch that the operator puts up with here; 75 s in production. */
const INACTIVITY_MS = 1_500;
const STEP_MS = 150_000;
/** Several of these lives go on at the same time. */
const KUBELET_POLL_MS = 300;
const POLL_MS = 200;
/** The rest after all is done. */
const REST_MS = 3_000;
export const NEXT_IMAGE = "registry.example/imcluster:0.2.0";

/** What a whole life of a cluster behind the proxy came to. */
export interface FaultyLife {
  proxy: ApiFaultProxy;
  judge: PodJudge;
  bench: Bench;
  cluster: ImCluster;
  /** Most writes within one second. */
  writesPerSecond: number;
  /** Most lists and watches within one second. */
  readsPerSecond: number;
  /** Writes of a rest at the end, when there is nothing to do. */
  writesAtRest: number;
  /** Pods that nobody lets go after the cluster was deleted. */
  held: string[];
}

/** A client that does not wait for 75 s until it believes that a watch is dead. */
export function impatient(client: KubeClient): KubeClient {
  const plain = hookedClient(client, {});
  return {
    ...plain,
    watch: (resource, namespace, options) =>
      client.watch(resource, namespace, { ...options, inactivityMs: INACTIVITY_MS }),
  };
}

/**
 * Creates a cluster of two entries, scales it to four and back, updates it, drains one pod by hand and deletes it all, while the
 * operator reaches the API server through the proxy and its faults. Everything else reaches it directly.
 */
export async function liveThrough(
  server: ImApiServer,
  faults: ApiFaults,
  seed: number,
  check: (life: FaultyLife) => void | Promise<void>,
): Promise<void> {
  const proxy = await ApiFaultProxy.start(loadKubeConfig({ path: server.api.kubeconfigPath }), seed);
  const client = createKubeClient({ kubeConfig: proxy.kubeConfig });
  const bench = await Bench.open(server, { pollMs: KUBELET_POLL_MS });
  const judge = await PodJudge.start(server.client, bench.namespace);
  try {
    proxy.faults = faults;
    await bench.startOperator(impatient(client));
    const cluster = await live(bench, judge);
    const from = proxy.calls.length;
    await sleep(REST_MS);
    const atRest = proxy.calls.slice(from).filter(isWrite).length;
    const writes = proxy.calls.filter(isWrite);
    const reads = proxy.calls.filter((call) => !isWrite(call));
    const held = await heldAfterDeletion(bench);
    await check({
      ...{ proxy, judge, bench, cluster, held, writesAtRest: atRest },
      ...{ writesPerSecond: mostPerSecond(writes), readsPerSecond: mostPerSecond(reads) },
    });
  } finally {
    await bench.close();
    await judge.close();
    client.close();
    await proxy.close();
  }
}

async function live(bench: Bench, judge: PodJudge): Promise<ImCluster> {
  const entries = (replicas: number) => ({ entry: { replicas } });
  const drain = { window: "100ms", deadline: "3m", lbDetach: "200ms" };
  await bench.create({ entry: { replicas: 2, drain } });
  await untilExactly(bench, 2);
  judge.floor = 2;
  await bench.patchSpec(entries(4));
  await untilExactly(bench, 4);
  await bench.patchSpec(entries(2));
  await untilExactly(bench, 2);
  await bench.patchSpec({ image: NEXT_IMAGE });
  await untilExactly(bench, 2, NEXT_IMAGE);
  const [victim] = await bench.entryPods();
  if (!victim) throw new Error("there is no entry pod");
  const annotations = { [ANNOTATION.drainRequest]: "Manual" };
  await bench.client.patchMerge(PODS, bench.namespace, victim.metadata.name, { metadata: { annotations } });
  await until(bench, "drained by hand", () => judge.lives.get(victim.metadata.uid ?? "")?.isEnding ?? false);
  return await untilExactly(bench, 2, NEXT_IMAGE);
}

/** So many pods and no more, of this image, none of which is on its way out, and a status that says so. */
function untilExactly(bench: Bench, count: number, image?: string): Promise<ImCluster> {
  const isThere = async ({ status, metadata }: ImCluster): Promise<boolean> => {
    const isSaid =
      status?.phase === "Ready" &&
      status.observedGeneration === metadata.generation &&
      status.entry?.ready === count &&
      status.entry.replicas === count &&
      status.pods?.length === count;
    if (!isSaid) return false;
    const pods = await bench.entryPods();
    return (
      pods.length === count &&
      pods.every(
        ({ metadata: { annotations }, spec }) =>
          !annotations?.[ANNOTATION.drain] && (!image || spec.containers[0]?.image === image),
      )
    );
  };
  return until(bench, `${count} entries${image ? ` of ${image}` : ""}, and nothing left to do`, isThere);
}

/** As Bench.until, with fewer questions: several of these lives share a machine. */
async function until(
  bench: Bench,
  what: string,
  condition: (cluster: ImCluster) => boolean | Promise<boolean>,
): Promise<ImCluster> {
  const deadlineMs = performance.now() + STEP_MS;
  for (;;) {
    const cluster = await bench.get();
    if (await condition(cluster)) return cluster;
    if (performance.now() > deadlineMs) {
      const pods = (await bench.entryPods()).map(({ metadata: { name, annotations } }) => [name, annotations]);
      throw new Error(`not in ${STEP_MS} ms: ${what}; ${JSON.stringify({ status: cluster.status, pods })}`);
    }
    await sleep(POLL_MS);
  }
}

async function heldAfterDeletion(bench: Bench): Promise<string[]> {
  const { client, namespace } = bench;
  await client.delete(IM_CLUSTER, namespace, "demo");
  await waitUntil("it is gone", async () => !(await client.get(IM_CLUSTER, namespace, "demo")), STEP_MS);
  const held = (await bench.entryPods()).filter((pod) => hasFinalizer(pod, FINALIZER.entry));
  return held.map(({ metadata }) => metadata.name);
}

const isWrite = ({ method }: ProxiedCall): boolean => method !== "GET";

function mostPerSecond(calls: readonly ProxiedCall[]): number {
  let most = 0;
  let first = 0;
  for (const [index, { atMs }] of calls.entries()) {
    while (atMs - (calls[first]?.atMs ?? 0) >= 1_000) first++;
    most = Math.max(most, index - first + 1);
  }
  return most;
}
