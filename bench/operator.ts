// SPDX-License-Identifier: Apache-2.0
// What the operator costs: itself as a process, with the rights of its chart, on a real kube-apiserver and etcd. Kubelets and the
// control services of entries and logic are played. First one ImCluster with 100 entries: how long until all are there, how many
// writes that takes, and what is written and watched when nothing happens any more, by the API server's audit log. Then 200
// ImClusters with 5 entries each: CPU of a pass, memory of the process. In a network of its own; needs root. Ends with one JSON line;
// exit code 1 when a target is missed.
import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { isInPrivateNetwork, runInPrivateNetwork } from "../e2e/harness/private-network.ts";
import { waitUntil } from "../e2e/harness/processes.ts";
import { imCluster } from "../e2e/operator/support/shared-api-server.ts";
import { IM_CLUSTER } from "../operator/api/resource.ts";
import type { ImCluster } from "../operator/api/v1alpha1.ts";
import { KubeError } from "../operator/kube/kube-error.ts";
import { PODS } from "../operator/kube/types.ts";
import { ensureBinaries } from "../scripts/cluster/toolchain.ts";
import { envNumber, missedOf, progress, residentMiB } from "./bench-kit.ts";
import { readsWithin, type Span, sumOf, watchesWithin, writesWithin } from "./operator/audit-log.ts";
import { CONNECTIONS } from "./operator/control-servers.ts";
import { OperatorWorld } from "./operator/world.ts";
import { cpuSecondsBetween, cpuTimeOf, waitQuiet } from "./process-cpu.ts";

const ENTRIES = envNumber("IM_BENCH_ENTRIES", 100);
const CLUSTERS = envNumber("IM_BENCH_CLUSTERS", 200);
const ENTRIES_EACH = envNumber("IM_BENCH_ENTRIES_EACH", 5);
const NODES = envNumber("IM_BENCH_NODES", 100);
const STEADY_SECONDS = envNumber("IM_BENCH_STEADY_SECONDS", 60);
const QUIET_SECONDS = envNumber("IM_BENCH_QUIET_SECONDS", 20);
const ONLY = process.env.IM_BENCH_ONLY ?? "";
const PROFILE = process.env.IM_BENCH_PROFILE ?? "";
const TARGETS = {
  convergeMs: 5000,
  writesPerPod: 2,
  steadyWrites: 0,
  watchesPerKind: 1,
  passCpuP99Ms: 50,
  residentMiB: 250,
};
const CONVERGE_TIMEOUT_MS = 600_000;
const ANSWER_TIMEOUT_MS = 60_000;
const POLL_MS = 100;
/** What follows an event has followed by then: conditions that wait, series of Events (10 s), a look at every entry. */
const SETTLE_MS = 15_000;
const LEASE = /^\w+ leases$/;

type Counts = Record<string, number>;

function without(counts: Counts, pattern: RegExp): Counts {
  return Object.fromEntries(Object.entries(counts).filter(([name]) => !pattern.test(name)));
}

function isDone({ status, metadata, spec }: ImCluster): boolean {
  const isTrue = (type: string, status_: string) =>
    status?.conditions?.some((one) => one.type === type && one.status === status_) ?? false;
  return (
    status?.phase === "Ready" &&
    status.observedGeneration === metadata.generation &&
    isTrue("Progressing", "False") &&
    isTrue("RouterConsistent", "True") &&
    status.entry?.sessions === spec.entry.replicas * CONNECTIONS
  );
}

/** A busy API server may not answer at all, for a while. */
async function asked<T>(call: () => Promise<T>): Promise<T> {
  const untilMs = performance.now() + ANSWER_TIMEOUT_MS;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof KubeError && error.retryable) || performance.now() > untilMs) throw error;
      await sleep(POLL_MS);
    }
  }
}

async function make({ server: { client }, namespace }: OperatorWorld, name: string, replicas: number): Promise<void> {
  // One that exists was made by a call whose answer did not come.
  await asked(() => client.create(IM_CLUSTER, imCluster(namespace, { entry: { replicas } }, name)));
}

/** Statuses by name, as text. */
async function statuses({ server: { client }, namespace }: OperatorWorld): Promise<Map<string, string>> {
  const { items } = await asked(() => client.list(IM_CLUSTER, namespace));
  return new Map(items.map(({ metadata: { name }, status }) => [name, JSON.stringify(status)]));
}

/** What a status said before and says now, from where they differ on: for whoever wonders about a write. */
async function told(world: OperatorWorld, before: ReadonlyMap<string, string>): Promise<string[]> {
  const now = await statuses(world);
  return [...now].flatMap(([name, text]) => {
    const old = before.get(name) ?? "";
    if (old === text) return [];
    let at = 0;
    while (at < text.length && text[at] === old[at]) at++;
    const around = (status: string): string => status.slice(Math.max(0, at - 100), at + 60);
    return [`${name}: ${around(old)} -> ${around(text)}`];
  });
}

/** Nothing happens any more: what is written, watched, read and used all the same. */
async function steady(world: OperatorWorld) {
  await sleep(SETTLE_MS);
  const before = await statuses(world);
  await world.passFigures();
  const cpu = cpuTimeOf(world.operator.pid);
  const span: Span = { fromMs: Date.now(), toMs: Date.now() + STEADY_SECONDS * 1000 };
  await sleep(STEADY_SECONDS * 1000);
  const cpuMs = Math.round(cpuSecondsBetween(cpu, cpuTimeOf(world.operator.pid)) * 1000);
  const passes = await world.passFigures();
  const requests = world.requests();
  const writes = writesWithin(requests, span);
  for (const line of (await told(world, before)).slice(0, 5)) progress(`written although nothing happened: ${line}`);
  return {
    seconds: STEADY_SECONDS,
    writes: without(writes, LEASE),
    /** The leader's sign of life. */
    leaseWrites: sumOf(writes) - sumOf(without(writes, LEASE)),
    watches: watchesWithin(requests, span),
    reads: readsWithin(requests, span),
    cpuMs,
    passes,
  };
}

/** One ImCluster with many entries. */
async function oneLarge() {
  const world = await OperatorWorld.open({ nodes: NODES, profileDir: PROFILE });
  try {
    progress(`${await waitQuiet(QUIET_SECONDS)} cores are busy`);
    const { client } = world.server;
    const cpu = cpuTimeOf(world.operator.pid);
    const span: Span = { fromMs: Date.now(), toMs: Number.POSITIVE_INFINITY };
    const startedMs = performance.now();
    await make(world, "large", ENTRIES);
    let readyMs = 0;
    const isReady = async (): Promise<boolean> => {
      const cluster = await asked(() => client.get(IM_CLUSTER, world.namespace, "large"));
      if (readyMs === 0 && cluster?.status?.entry?.ready === ENTRIES && cluster.status.phase === "Ready")
        readyMs = performance.now() - startedMs;
      await sleep(POLL_MS);
      return cluster !== undefined && isDone(cluster);
    };
    await waitUntil("all entries are there", isReady, CONVERGE_TIMEOUT_MS);
    const cpuMs = Math.round(cpuSecondsBetween(cpu, cpuTimeOf(world.operator.pid)) * 1000);
    progress(`${ENTRIES} entries are ready after ${Math.round(readyMs)} ms`);
    const passes = await world.passFigures();
    const idle = await steady(world);
    const writes = without(writesWithin(world.requests(), span), LEASE);
    const figures = {
      entries: ENTRIES,
      convergeMs: Math.round(readyMs),
      operatorCpuMs: cpuMs,
      writesPerPod: Math.round((sumOf(writes) / ENTRIES) * 100) / 100,
      writes,
      passes,
      steady: idle,
    };
    progress(JSON.stringify(figures));
    return figures;
  } finally {
    await world.close();
  }
}

/** Many small ones, with one worker: what the process uses during a pass is then that pass's. */
async function manySmall() {
  const world = await OperatorWorld.open({ nodes: NODES, env: { IM_WORKERS: "1" }, profileDir: PROFILE });
  try {
    progress(`${await waitQuiet(QUIET_SECONDS)} cores are busy`);
    const { client } = world.server;
    const startedMs = performance.now();
    for (let at = 0; at < CLUSTERS; at++) await make(world, `c${at}`, ENTRIES_EACH);
    let done = 0;
    const areDone = async (): Promise<boolean> => {
      const { items } = await asked(() => client.list(IM_CLUSTER, world.namespace));
      const before = Math.floor((done * 10) / CLUSTERS);
      done = items.filter(isDone).length;
      if (Math.floor((done * 10) / CLUSTERS) > before) progress(`${done} of ${CLUSTERS} ImClusters are ready`);
      await sleep(10 * POLL_MS);
      return done === CLUSTERS;
    };
    await waitUntil("all ImClusters are ready", areDone, CONVERGE_TIMEOUT_MS);
    const seconds = Math.round((performance.now() - startedMs) / 1000);
    const pods = (await asked(() => client.list(PODS, world.namespace, { limit: 10_000 }))).items.length;
    const making = await world.passFigures();
    const idle = await steady(world);
    const figures = {
      ...{ clusters: CLUSTERS, entriesEach: ENTRIES_EACH, pods, nodes: NODES, seconds },
      residentMiB: residentMiB(world.operator.pid),
      making,
      steady: idle,
    };
    progress(JSON.stringify(figures));
    return figures;
  } finally {
    await world.close();
  }
}

async function main(): Promise<boolean> {
  const large = ONLY === "many" ? undefined : await oneLarge();
  const many = ONLY === "large" ? undefined : await manySmall();
  const atMostOne = (watches: Counts) => Object.values(watches).every((open) => open <= TARGETS.watchesPerKind);
  const checks: Record<string, boolean> = {
    ...(large && {
      convergeMs: large.convergeMs <= TARGETS.convergeMs,
      writesPerPod: large.writesPerPod <= TARGETS.writesPerPod,
      steadyWrites: sumOf(large.steady.writes) <= TARGETS.steadyWrites,
      watchesPerKind: atMostOne(large.steady.watches),
    }),
    ...(many && {
      steadyWritesOfMany: sumOf(many.steady.writes) <= TARGETS.steadyWrites,
      watchesPerKindOfMany: atMostOne(many.steady.watches),
      passCpuP99Ms: Math.max(many.making.cpuP99Ms, many.steady.passes.cpuP99Ms) <= TARGETS.passCpuP99Ms,
      residentMiB: many.residentMiB.peak <= TARGETS.residentMiB,
    }),
  };
  const missed = missedOf(checks);
  const ok = missed.length === 0;
  console.log(JSON.stringify({ bench: "operator", ok, missed, targets: TARGETS, large, many }));
  return ok;
}

if (isInPrivateNetwork()) {
  execFileSync("ip", ["link", "set", "lo", "up"]);
  process.exitCode = (await main()) ? 0 : 1;
} else {
  // There is no way out of the private network to fetch what is missing.
  await ensureBinaries(["etcd", "kube-apiserver"]);
  process.exitCode = await runInPrivateNetwork(import.meta.filename);
}
