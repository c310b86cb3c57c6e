// SPDX-License-Identifier: Apache-2.0
import { existsSync, readdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Binaries, ensureControlPlane } from "./control-plane.ts";
import { ClusterFault } from "./fault.ts";
import { ensureFirewallRules } from "./firewall.ts";
import { makeFolder } from "./folder.ts";
import type { BuiltImage } from "./image/image.ts";
import { ensureImages, SYSTEM_IMAGES, WORKLOAD_IMAGES } from "./images.ts";
import { Kube } from "./kube.ts";
import { NODES, type NodeLayout } from "./layout.ts";
import { loadImages } from "./load.ts";
import { withLock } from "./lock.ts";
import { applyManifests } from "./manifests.ts";
import { ensureRunRoot } from "./mounts.ts";
import { ensureBridge, ensurePodRoutes } from "./network.ts";
import { ensureNodeAgents, ensureNodeRuntime } from "./node.ts";
import { DAEMON_SCRIPT } from "./own-processes.ts";
import { claimMachine } from "./owner.ts";
import { cacheRoot, clusterRoot, kubeconfigPath, PROJECT_ROOT } from "./paths.ts";
import { ensurePki } from "./pki.ts";
import { checkPorts, preflight } from "./preflight.ts";
import { startProcess } from "./processes.ts";
import type { RunContext } from "./progress.ts";
import { ensureBinaries, missingBinaries } from "./toolchain.ts";
import { waitFor } from "./wait.ts";

const PROGRAMS = [
  "etcd",
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "kubelet",
  "kube-proxy",
  "containerd",
  "containerd-shim-runc-v2",
  "ctr",
  "coredns",
  "pause",
  "kubectl",
  "helm",
];
/** Raised when state on disk changes in a way that an older state cannot be continued from. */
const STATE_FORMAT = "1";
const NODES_TIMEOUT_MS = 90_000;

/** A running local cluster. */
export interface LocalCluster {
  kubeconfig: string;
  images: BuiltImage[];
  /** Programs had to be built or downloaded first. */
  built: boolean;
  seconds: number;
}

function claimState(): void {
  makeFolder(clusterRoot(), 0o700);
  const formatFile = join(clusterRoot(), "format");
  const found = existsSync(formatFile) ? readFileSync(formatFile, "utf8").trim() : STATE_FORMAT;
  if (found !== STATE_FORMAT) {
    throw new ClusterFault(
      "the local cluster was made by another version of ImCluster",
      "Remove it (make down), then start again.",
    );
  }
  writeFileSync(formatFile, `${STATE_FORMAT}\n`);
}

/** Starts the daemon; after a change to what it is made of, a new one. */
async function ensureDaemon(): Promise<void> {
  const script = join(PROJECT_ROOT, DAEMON_SCRIPT);
  const folder = dirname(script);
  const own = readdirSync(folder)
    .filter((name) => !name.endsWith(".test.ts"))
    .sort();
  const shared = ["kube.ts", "layout.ts", "manifests.ts", "network.ts"].map((name) => join("..", name));
  await startProcess({
    name: "daemon",
    command: [realpathSync(process.execPath), script, clusterRoot()],
    env: { IMCLUSTER_CACHE: cacheRoot() },
    configuration: [...own, ...shared].map((name) => readFileSync(join(folder, name), "utf8")).join("\n"),
  });
}

async function bringUpNode(
  node: NodeLayout,
  images: BuiltImage[],
  binaries: Binaries,
  context: RunContext,
): Promise<void> {
  await ensureNodeRuntime(node, binaries, context);
  const system = images.filter((image) => (SYSTEM_IMAGES as readonly string[]).includes(image.name));
  await loadImages(system, node, binaries, context);
  await ensureNodeAgents(node, binaries);
  await loadImages(images, node, binaries, context);
}

interface NodeStatus {
  metadata: { name: string };
  status?: { conditions?: { type: string; status: string }[] };
}

async function waitUntilUsable(kube: Kube, context: RunContext): Promise<void> {
  const isReady = (node: NodeStatus): boolean =>
    node.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True") ?? false;
  const options = {
    timeoutMs: NODES_TIMEOUT_MS,
    signal: context.signal,
    processes: NODES().map((node) => `kubelet-${node.name}`),
  };
  await waitFor(
    async () => (await kube.list<NodeStatus>("/api/v1/nodes")).items.filter(isReady).length >= NODES().length,
    { ...options, what: "both nodes are Ready" },
  );
  for (const node of NODES()) {
    await waitFor(async () => (await kube.call("GET", `/api/v1/nodes/${node.name}/proxy/healthz`)) === "ok", {
      ...options,
      what: `the kubelet of ${node.name} answers`,
    });
  }
  context.progress.line("both nodes Ready");
  const path = "/apis/apps/v1/namespaces/kube-system/deployments/coredns";
  await waitFor(
    async () => ((await kube.get<{ status?: { readyReplicas?: number } }>(path)).status?.readyReplicas ?? 0) > 0,
    {
      ...options,
      what: "CoreDNS is ready (kubectl -n kube-system get pods)",
    },
  );
  context.progress.line("CoreDNS ready");
}

/** Runs tasks side by side; the first failure stops the others, so that none goes on after the error was reported. */
async function together(
  context: RunContext,
  tasks: readonly ((context: RunContext) => Promise<void>)[],
): Promise<void> {
  const failure = new AbortController();
  const signal = context.signal ? AbortSignal.any([context.signal, failure.signal]) : failure.signal;
  const results = await Promise.allSettled(
    tasks.map(async (task) => {
      try {
        await task({ ...context, signal });
      } catch (error) {
        failure.abort(error);
        throw error;
      }
    }),
  );
  const failed = results.some((result) => result.status === "rejected");
  if (failed) throw context.signal?.aborted ? context.signal.reason : failure.signal.reason;
}

async function assemble(binaries: Binaries, images: BuiltImage[], context: RunContext): Promise<void> {
  claimState();
  await ensureRunRoot();
  claimMachine();
  await ensureBridge();
  await ensureFirewallRules();
  await checkPorts();
  await ensurePki(context);
  const kube = new Kube();
  try {
    await together(context, [
      async (inner) => {
        await ensureControlPlane(binaries, kube, inner);
        await applyManifests(kube);
        await ensureDaemon();
      },
      ...NODES().map((node) => (inner: RunContext) => bringUpNode(node, images, binaries, inner)),
    ]);
    await ensurePodRoutes();
    await waitUntilUsable(kube, context);
  } finally {
    kube.close();
  }
}

/**
 * Brings up the two-node cluster, or what is missing of it: a second call finds everything in place and takes about a
 * second; a killed component is started again; after Ctrl-C or a reboot it goes on from what is there.
 */
export async function up(context: RunContext): Promise<LocalCluster> {
  await preflight(context);
  const built = missingBinaries(PROGRAMS).length > 0;
  const binaries = await ensureBinaries(PROGRAMS, context);
  const images = await ensureImages([...SYSTEM_IMAGES, ...WORKLOAD_IMAGES], context);
  const onWait = (pid: number): void => context.progress.line(`process ${pid} works on the cluster, waiting`);
  await withLock(clusterRoot(), () => assemble(binaries, images, context), { signal: context.signal, onWait });
  return { kubeconfig: kubeconfigPath(), images, built, seconds: context.progress.elapsedSeconds() };
}
