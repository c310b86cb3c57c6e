// SPDX-License-Identifier: Apache-2.0
// The operator drains an entry with 10,000 real connections: does it take as long as its plan says beforehand, and does it ever ask
// more clients in a second to reconnect than its budget allows? API server, operator, entries, logic, PostgreSQL, Redis and clients
// are real; only the kubelet is played. The cluster shrinks from two entries to one; the one with all clients is asked to go.
// Ends with one JSON line; exit code 1 when a target is missed.
import { setTimeout as sleep } from "node:timers/promises";
import { type GuardedProcess, waitUntil } from "../e2e/harness/processes.ts";
import type { ImCluster } from "../operator/api/v1alpha1.ts";
import { ANNOTATION } from "../operator/imcluster/names.ts";
import { PODS } from "../operator/kube/types.ts";
import { envNumber, missedOf, progress, round1, UNLIMITED } from "./bench-kit.ts";
import { addMoved, type Moved } from "./held-crowd.ts";
import { startHolder } from "./holders.ts";
import { RealFleet } from "./operator/real-fleet.ts";
import { waitQuiet } from "./process-cpu.ts";

const CONNECTIONS = envNumber("IM_BENCH_CONNECTIONS", 10_000);
const WINDOW_SECONDS = envNumber("IM_BENCH_WINDOW_SECONDS", 30);
const MAX_PER_SECOND = envNumber("IM_BENCH_BUDGET", 250);
const QUIET_SECONDS = envNumber("IM_BENCH_QUIET_SECONDS", 20);
const TARGETS = { etaErrorPercent: 20, peakPerSecond: MAX_PER_SECOND, usedPercent: 85 };
/** The rate is raised from its half to the whole in this time. */
const RISE_SECONDS = 11;
const HOLDERS = 2;
const EACH = Math.ceil(CONNECTIONS / HOLDERS);
const DEADLINE_SECONDS = 300;
const PING_INTERVAL_MS = 30_000;
const LOGIN_TIMEOUT_MS = 300_000;
const POLL_MS = 50;
/** The operator has seen by then what was written on a pod. */
const SEEN_MS = 2_000;

const SPEC = {
  window: `${WINDOW_SECONDS}s`,
  deadline: `${DEADLINE_SECONDS}s`,
  reconnectBudget: { maxPerSecond: MAX_PER_SECOND, minPerSecond: Math.min(50, MAX_PER_SECOND) },
};

const NOBODY: Moved = { moved: 0, forced: 0, refused: {}, dials: {}, p50Ms: 0, p99Ms: 0, lastMs: 0 };

function startHolders({ processes }: RealFleet): Promise<GuardedProcess[]> {
  const [from, to] = [processes.entry(0).plainPort, processes.entry(1).plainPort];
  const common = { port: from, moveTo: [to], count: EACH, pingIntervalMs: PING_INTERVAL_MS, concurrency: 128 };
  return Promise.all(
    Array.from({ length: HOLDERS }, (_, n) => startHolder(processes, { ...common, prefix: `held-${n}` })),
  );
}

/** All that the holders said of moves, together. */
function movedBy(holders: readonly GuardedProcess[]): Moved {
  const lines = holders.flatMap(({ output }) => output.split("\n"));
  const told = lines.filter((line) => line.startsWith('{"moved":') && line.endsWith("}"));
  return told.map((line) => JSON.parse(line) as Moved).reduce(addMoved, NOBODY);
}

interface Drained {
  etaSeconds: number;
  seconds: number;
  /** What the status said on the way of the time that was left, and when. */
  told: { atSeconds: number; etaSeconds: number }[];
  cluster: ImCluster;
}

/** Asks for the end of the first entry and for one entry less, in what is one change to the operator. */
async function drain({ bench, pods }: RealFleet): Promise<Drained> {
  const name = pods[0]?.metadata.name ?? "";
  await bench.patchSpec({ paused: true });
  await bench.until("paused", ({ status }) => status?.phase === "Paused");
  const annotations = { [ANNOTATION.drainRequest]: "Manual" };
  await bench.client.patchMerge(PODS, bench.namespace, name, { metadata: { annotations } });
  await sleep(SEEN_MS);
  const { metadata } = await bench.get();
  const startedMs = performance.now();
  const elapsedSeconds = (): number => (performance.now() - startedMs) / 1000;
  await bench.patchSpec({ paused: false, entry: { replicas: 1 } });
  let etaSeconds = 0;
  const told: Drained["told"] = [];
  let cluster = await bench.get();
  const isOver = async (): Promise<boolean> => {
    cluster = await bench.get();
    const { plan, drains = [], observedGeneration = 0 } = cluster.status ?? {};
    // While it was paused, the plan was another one.
    if (observedGeneration <= (metadata.generation ?? 0)) return false;
    if (etaSeconds === 0 && plan && plan.sessionsAffected > 0) {
      etaSeconds = plan.estimatedSeconds;
      progress(`the plan: ${JSON.stringify(plan)}`);
    }
    const record = drains.find(({ pod }) => pod === name);
    if (record?.etaSeconds !== undefined && told.at(-1)?.etaSeconds !== record.etaSeconds)
      told.push({ atSeconds: round1(elapsedSeconds()), etaSeconds: record.etaSeconds });
    await sleep(POLL_MS);
    return record?.phase === "Released";
  };
  await waitUntil("the drain is over", isOver, 2 * DEADLINE_SECONDS * 1000);
  return { etaSeconds, seconds: elapsedSeconds(), told, cluster };
}

/** Of the second half of the drain: by how many percent of the whole the end was expected too early or too late, at the most. */
function lateErrorPercent({ told, seconds }: Drained): number {
  const errors = told
    .filter(({ atSeconds }) => atSeconds > seconds / 2)
    .map(({ atSeconds, etaSeconds }) => (Math.abs(atSeconds + etaSeconds - seconds) / seconds) * 100);
  return round1(Math.max(0, ...errors));
}

async function measure(fleet: RealFleet): Promise<boolean> {
  const holders = await startHolders(fleet);
  try {
    await Promise.all(holders.map((holder) => holder.waitForOutput(/"held":/, LOGIN_TIMEOUT_MS)));
    const counted = ({ status }: ImCluster): boolean => status?.entry?.sessions === EACH * HOLDERS;
    await fleet.bench.until("every session is counted", counted, LOGIN_TIMEOUT_MS);
    progress(`${EACH * HOLDERS} clients are logged in; ${await waitQuiet(QUIET_SECONDS)} cores are busy`);
    const drained = await drain(fleet);
    await waitUntil("all have moved", () => movedBy(holders).moved >= EACH * HOLDERS, LOGIN_TIMEOUT_MS);
    return report(drained, movedBy(holders));
  } finally {
    await Promise.all(holders.map((holder) => holder.stop("SIGKILL")));
  }
}

/** How much of the budget is used between the first ten seconds, in which it rises, and the last. */
function usedPercent(perSecond: readonly number[]): number {
  const middle = perSecond.slice(RISE_SECONDS, -1);
  return middle.length === 0 ? 0 : (sum(middle) / (middle.length * MAX_PER_SECOND)) * 100;
}

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);

function report(drained: Drained, moves: Moved): boolean {
  const { etaSeconds, seconds, cluster } = drained;
  const etaErrorPercent = round1((Math.abs(seconds - etaSeconds) / etaSeconds) * 100);
  const perSecond = Object.values(moves.dials);
  const peakPerSecond = Math.max(...perSecond);
  const used = { usedPercent: round1(usedPercent(perSecond)), lateErrorPercent: lateErrorPercent(drained) };
  const [record] = cluster.status?.drains ?? [];
  const checks = {
    moved: moves.moved === EACH * HOLDERS && moves.forced === 0,
    etaErrorPercent: etaErrorPercent <= TARGETS.etaErrorPercent,
    lateErrorPercent: used.lateErrorPercent <= TARGETS.etaErrorPercent,
    // Of few clients the budget is never used up.
    usedPercent: perSecond.length < 2 * RISE_SECONDS || used.usedPercent >= TARGETS.usedPercent,
    peakPerSecond: peakPerSecond <= TARGETS.peakPerSecond,
    routesLeft: record?.routesLeft === 0,
  };
  const missed = missedOf(checks);
  const ok = missed.length === 0;
  const { moved, forced, refused } = moves;
  const times = { etaSeconds, seconds: round1(seconds), etaErrorPercent };
  console.log(
    JSON.stringify({
      ...{
        bench: "drain-eta",
        ok,
        missed,
        targets: TARGETS,
        windowSeconds: WINDOW_SECONDS,
        maxPerSecond: MAX_PER_SECOND,
      },
      ...{ moved, forced, refused, ...times, ...used, peakPerSecond, perSecond, drain: record },
    }),
  );
  return ok;
}

const fleet = await RealFleet.open({
  entries: 2,
  drain: SPEC,
  fleet: {
    env: { ...UNLIMITED, IM_LOG_LEVEL: "warn", IM_PING_INTERVAL_MS: String(PING_INTERVAL_MS) },
    entryEnv: {
      IM_DRAIN_WINDOW_MS: String(WINDOW_SECONDS * 1000),
      IM_DRAIN_DEADLINE_MS: String(DEADLINE_SECONDS * 1000),
      IM_MAX_CONNECTIONS: String(2 * CONNECTIONS + 1000),
    },
  },
});
try {
  process.exitCode = (await measure(fleet)) ? 0 : 1;
} catch (error) {
  console.error(fleet.processes.explain());
  throw error;
} finally {
  await fleet.close();
}
