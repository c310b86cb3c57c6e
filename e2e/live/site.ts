// SPDX-License-Identifier: Apache-2.0

import type { ConditionStatus, DrainStatus, ImCluster } from "../../operator/api/v1alpha1.ts";
import { ANNOTATION } from "../../operator/imcluster/names.ts";
import { ClusterFault } from "../../scripts/cluster/fault.ts";
import { ensureImages } from "../../scripts/cluster/images.ts";
import { Kube, KubeError } from "../../scripts/cluster/kube.ts";
import { NODES, type NodeLayout } from "../../scripts/cluster/layout.ts";
import { loadImages } from "../../scripts/cluster/load.ts";
import type { ProcessIdentity } from "../../scripts/cluster/process-identity.ts";
import type { RunContext } from "../../scripts/cluster/progress.ts";
import { ensureBinaries } from "../../scripts/cluster/toolchain.ts";
import { waitFor } from "../../scripts/cluster/wait.ts";
import { OPERATOR_NAMESPACE } from "../../scripts/up/bring-up.ts";
import { DEMO_NAME, DEMO_NAMESPACE } from "../../scripts/up/demo.ts";
import { type KubeTools, openKubeTools } from "../../scripts/up/kube-tools.ts";
import { RouterView } from "../campaign/router-view.ts";
import { PROGRAM, podProcess } from "./pod-process.ts";

const IMCLUSTERS = `/apis/imcluster.io/v1alpha1/namespaces/${DEMO_NAMESPACE}/imclusters`;
const PODS = `/api/v1/namespaces/${DEMO_NAMESPACE}/pods`;
const LEASE = `/apis/coordination.k8s.io/v1/namespaces/${OPERATOR_NAMESPACE}/leases/im-operator`;
const SETTLE_TIMEOUT_MS = 420_000;
const POLL_MS = 400;
const LEADER_TIMEOUT_MS = 90_000;
const REMOVE_TIMEOUT_MS = 180_000;
const OWNED_KINDS =
  "pods,deployments,statefulsets,jobs,services,secrets,configmaps,persistentvolumeclaims,serviceaccounts,poddisruptionbudgets,networkpolicies";

/** A pod as far as the scenarios look. */
export interface SitePod {
  name: string;
  namespace: string;
  uid: string;
  node: string;
  ip: string;
  image: string;
  isReady: boolean;
  isDeleting: boolean;
  restarts: number;
}

interface RawPod {
  metadata: { name: string; namespace: string; uid: string; deletionTimestamp?: string };
  spec: { nodeName?: string; containers: { image: string }[] };
  status?: {
    podIP?: string;
    conditions?: { type: string; status: string }[];
    containerStatuses?: { restartCount: number }[];
  };
}

function sitePod({ metadata, spec, status }: RawPod): SitePod {
  return {
    name: metadata.name,
    namespace: metadata.namespace,
    uid: metadata.uid,
    node: spec.nodeName ?? "",
    ip: status?.podIP ?? "",
    image: spec.containers[0]?.image ?? "",
    isReady: status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") ?? false,
    isDeleting: metadata.deletionTimestamp !== undefined,
    restarts: status?.containerStatuses?.[0]?.restartCount ?? 0,
  };
}

/** The running local cluster with one ImCluster, as people, nodes and faults reach it. */
export class LiveSite {
  readonly tools: KubeTools;
  readonly name: string;
  readonly context: RunContext;
  readonly #kube = new Kube();
  readonly #router: RouterView;

  /** @throws {ClusterFault} when no local cluster runs */
  static async open(context: RunContext, name = DEMO_NAME): Promise<LiveSite> {
    return new LiveSite(await openKubeTools(context), context, name);
  }

  private constructor(tools: KubeTools, context: RunContext, name: string) {
    this.tools = tools;
    this.name = name;
    this.context = context;
    this.#router = new RouterView(async () => [await this.#redisUrl()]);
  }

  close(): void {
    this.#router.close();
    this.#kube.close();
  }

  imCluster(): Promise<ImCluster> {
    return this.#kube.get<ImCluster>(`${IMCLUSTERS}/${this.name}`);
  }

  /** Undefined when there is none. */
  async findImCluster(): Promise<ImCluster | undefined> {
    try {
      return await this.imCluster();
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** Changes the spec by a merge patch: `null` takes a field out. */
  async patch(spec: object): Promise<void> {
    await this.#kube.mergePatch(`${IMCLUSTERS}/${this.name}`, { spec });
  }

  async scale(replicas: number): Promise<void> {
    await this.patch({ entry: { replicas } });
  }

  async entries(): Promise<SitePod[]> {
    return await this.podsOf("entry");
  }

  async podsOf(component: string): Promise<SitePod[]> {
    const selector = `imcluster.io/cluster=${this.name},app.kubernetes.io/component=${component}`;
    const { items } = await this.#kube.list<RawPod>(`${PODS}?labelSelector=${encodeURIComponent(selector)}`);
    return items.map(sitePod);
  }

  /** Pods of the operator. */
  async operators(): Promise<SitePod[]> {
    const selector = encodeURIComponent("app.kubernetes.io/name=im-operator");
    const path = `/api/v1/namespaces/${OPERATOR_NAMESPACE}/pods?labelSelector=${selector}`;
    return (await this.#kube.list<RawPod>(path)).items.map(sitePod);
  }

  async deletePod({ name, namespace }: SitePod): Promise<void> {
    await this.#kube.delete(`/api/v1/namespaces/${namespace}/pods/${name}`);
  }

  /** As a person asks for it; another entry comes in its place. */
  async requestDrain(name: string): Promise<void> {
    await this.#kube.mergePatch(`${PODS}/${name}`, {
      metadata: { annotations: { [ANNOTATION.drainRequest]: "Manual" } },
    });
  }

  async condition(type: string): Promise<ConditionStatus | undefined> {
    return (await this.imCluster()).status?.conditions?.find((one) => one.type === type);
  }

  async drains(): Promise<DrainStatus[]> {
    return (await this.imCluster()).status?.drains ?? [];
  }

  /** Waits until a drain that is not in `before` fits. */
  async newDrain(
    before: readonly DrainStatus[],
    what: string,
    fits: (drain: DrainStatus) => boolean,
  ): Promise<DrainStatus> {
    const known = new Set(before.filter(({ phase }) => isOver(phase)).map(({ id }) => id));
    return await this.until(what, async () =>
      (await this.drains()).find((drain) => !known.has(drain.id) && fits(drain)),
    );
  }

  /** Polls until `probe` has a value. @throws Error with the state of the cluster at the bound, or when the run is stopped */
  async until<T>(what: string, probe: () => Promise<T | undefined>, timeoutMs = SETTLE_TIMEOUT_MS): Promise<T> {
    const { signal } = this.context;
    try {
      return await waitFor(probe, { what, timeoutMs, signal, pollMs: POLL_MS });
    } catch (error) {
      signal?.throwIfAborted();
      throw new Error(`not within ${timeoutMs / 1000} s: ${what}\n${await this.describe()}`, { cause: error });
    }
  }

  /** Waits until the newest spec is reached: as many entries as wanted, all ready, and nothing moves. */
  async settled(what = "the fleet is as the spec says"): Promise<void> {
    await this.until(what, async () => {
      const [cluster, entries] = [await this.imCluster(), await this.entries()];
      const isWhole = entries.length === cluster.spec.entry.replicas && entries.every((pod) => pod.isReady);
      return isWhole && isSettled(cluster) && !entries.some((pod) => pod.isDeleting) ? true : undefined;
    });
  }

  /** Deletes the ImCluster; resolves when it and everything that it owned are gone. */
  async remove(): Promise<void> {
    const args = ["delete", "imc", this.name, "-n", DEMO_NAMESPACE, `--timeout=${REMOVE_TIMEOUT_MS / 1000}s`];
    await this.tools.kubectl(args, { timeoutMs: REMOVE_TIMEOUT_MS + 10_000 });
    const list = ["get", OWNED_KINDS, "-n", DEMO_NAMESPACE, "-l", `imcluster.io/cluster=${this.name}`, "-o", "name"];
    const isGone = async (): Promise<true | undefined> =>
      (await this.tools.kubectl(list)).trim() === "" ? true : undefined;
    await this.until("nothing of it is left", isGone, REMOVE_TIMEOUT_MS);
  }

  async describe(): Promise<string> {
    const pods = await this.tools.tryKubectl(["get", "imc,pods", "-n", DEMO_NAMESPACE, "-o", "wide"]);
    const cluster = await this.findImCluster().catch(() => undefined);
    const { drains = [], conditions = [], update, plan } = cluster?.status ?? {};
    const told = { drains: drains.slice(0, 6), conditions: conditions.filter(({ status }) => status !== "True") };
    return `${pods.stdout}\n${JSON.stringify({ ...told, update, plan })}`;
  }

  /** Routes in Redis, and those of them whose entry does not live: no lease, or no such pod. */
  async routes(): Promise<{ ghosts: number; live: { uid: string; slot: string; session: string }[] }> {
    const [all, leases, entries] = [await this.#router.allRoutes(), await this.#router.leases(), await this.entries()];
    const uids = new Set(entries.map(({ uid }) => uid));
    const lives = ({ incarnation }: { incarnation: string }): boolean =>
      leases.has(incarnation) && uids.has(incarnation.split(".")[0] ?? "");
    const live = all.filter(lives);
    return { ghosts: all.length - live.length, live };
  }

  /** Forgets everything in Redis. */
  async flushRedis(): Promise<void> {
    await this.#router.flush();
  }

  async #redisUrl(): Promise<string> {
    const [pod] = await this.podsOf("redis");
    if (!pod?.ip) throw new ClusterFault("Redis has no address", "Look at its pod: kubectl get pods -A");
    const url = new URL(await this.secretValue(`${this.name}-redis`, "url"));
    url.hostname = pod.ip;
    return url.href;
  }

  /** @throws Error when there is no such Secret, or no such key in it */
  async secretValue(name: string, key: string): Promise<string> {
    const path = `/api/v1/namespaces/${DEMO_NAMESPACE}/secrets/${name}`;
    const encoded = (await this.#kube.get<{ data?: Record<string, string> }>(path)).data?.[key];
    if (encoded === undefined) throw new Error(`Secret ${name} has no key ${key}`);
    return Buffer.from(encoded, "base64").toString("utf8");
  }

  /** Name of the operator's pod that leads, by its Lease. */
  async leader(): Promise<string> {
    const lease = await this.#kube.get<{ spec: { holderIdentity?: string } }>(LEASE);
    return (lease.spec.holderIdentity ?? "").split("_")[0] ?? "";
  }

  /** The process that leads; waits for one that runs. */
  async leaderProcess(): Promise<{ pod: string; process: ProcessIdentity }> {
    return await this.until(
      "an operator leads",
      async () => {
        const pod = await this.leader();
        const process = podProcess(pod, PROGRAM.operator);
        return process ? { pod, process } : undefined;
      },
      LEADER_TIMEOUT_MS,
    );
  }

  /** The node whose loss must not take the database away. */
  async victimNode(): Promise<NodeLayout> {
    const [postgres] = await this.podsOf("postgres");
    const victim = NODES().find(({ name }) => name !== postgres?.node);
    if (!postgres?.node || !victim) throw new ClusterFault("PostgreSQL runs nowhere", "Run make up first.");
    return victim;
  }

  /** Redis beside PostgreSQL: a node may then be taken away with entries, logic and the operator, and nothing else. */
  async gatherStores(): Promise<void> {
    const victim = await this.victimNode();
    const isBeside = async (): Promise<boolean> => {
      const [redis] = await this.podsOf("redis");
      return redis !== undefined && redis.node !== "" && redis.node !== victim.name && redis.isReady;
    };
    if (await isBeside()) return;
    await this.tools.kubectl(["cordon", victim.name]);
    try {
      await this.tools.kubectl(["delete", "pod", `${this.name}-redis-0`, "-n", DEMO_NAMESPACE]);
      await this.until("Redis runs beside PostgreSQL", async () => ((await isBeside()) ? true : undefined));
    } finally {
      await this.tools.kubectl(["uncordon", victim.name]);
    }
  }

  /** The image of this work tree under one more name, in both nodes: another version for the operator. */
  async nextImage(): Promise<string> {
    const [image] = await ensureImages(["imcluster"], this.context);
    if (!image) throw new Error("no image was built");
    const ref = `${image.ref.slice(0, image.ref.lastIndexOf(":"))}:next-${Date.now().toString(36)}`;
    const binaries = await ensureBinaries(["ctr"], this.context);
    await Promise.all(NODES().map((node) => loadImages([{ ...image, ref }], node, binaries, this.context)));
    return ref;
  }
}

const isOver = (phase: string): boolean => phase === "Released" || phase === "Aborted";

/** Is the newest spec reached, with every drain at its end? Pure. */
export function isSettled({ metadata, status }: ImCluster): boolean {
  const is = (type: string, wanted: string): boolean =>
    status?.conditions?.some((one) => one.type === type && one.status === wanted) ?? false;
  const isSeen = status?.observedGeneration === metadata.generation;
  const isQuiet = (status?.drains ?? []).every(({ phase }) => isOver(phase)) && (status?.entry?.draining ?? 0) === 0;
  return isSeen && isQuiet && status?.phase === "Ready" && is("Ready", "True") && !is("Progressing", "True");
}
