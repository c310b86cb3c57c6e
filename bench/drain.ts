// SPDX-License-Identifier: Apache-2.0
// An entry with 18,000 clients gets SIGTERM and drains to the entry beside it, while pairs of people chat through both. How
// long until every client is back, logged in and routed; what the chat notices of it; and the routes that are left behind.
// Ends with one JSON line; exit code 1 when a target is missed.
import { createRedis, whenReady } from "#lib/redis.ts";
import { type Fleet, startFleet } from "../e2e/harness/fleet.ts";
import { type GuardedProcess, waitUntil } from "../e2e/harness/processes.ts";
import { type Pair, type PairsReport, runPairs } from "../e2e/workload/pairs.ts";
import type { ClientTarget } from "../e2e/workload/sdk-transport.ts";
import {
  cpuSecondsOfAll,
  envNumber,
  microsEach,
  missedOf,
  progress,
  round1,
  UNLIMITED,
  withFleet,
} from "./bench-kit.ts";
import { addMoved, type Moved } from "./held-crowd.ts";
import { startHolder } from "./holders.ts";
import { waitQuiet } from "./process-cpu.ts";

/** A folder for CPU profiles of entries, logic and load. */
const PROFILE = process.env.IM_BENCH_PROFILE ?? "";
const CONNECTIONS = envNumber("IM_BENCH_CONNECTIONS", 18_000);
const RATE = envNumber("IM_BENCH_RATE", 200);
const SECONDS = envNumber("IM_BENCH_SECONDS", 15);
const WINDOW_MS = envNumber("IM_BENCH_WINDOW_MS", 5000);
const QUIET_SECONDS = envNumber("IM_BENCH_QUIET_SECONDS", 20);
const TARGETS = { lastMs: 6000, p99Ratio: 3 };
const PING_INTERVAL_MS = 30_000;
const LOGIN_TIMEOUT_MS = 300_000;
const MOVE_TIMEOUT_MS = 120_000;
/** While they move they have two connections each, and a process may have 20,000 descriptors. */
const HOLDERS = 2;
const EACH = Math.ceil(CONNECTIONS / HOLDERS);
/** Not the line of a few that had to move before. */
const ALL_MOVED = new RegExp(`\\{"moved":${EACH},.*\\}`);
/** The share of the chat that is over when the drain begins. */
const DRAIN_AT = 0.2;

/** Pairs that talk through the entry that stays, and one that has to move with everybody. */
function pairsOf(fleet: Fleet): Pair[] {
  const [leaving, staying] = [fleet.entry(0), fleet.entry(1)].map(({ plainPort }) => `tcp://127.0.0.1:${plainPort}`);
  const stays: ClientTarget = { url: staying ?? "" };
  const moves: ClientTarget = { url: [leaving ?? "", staying ?? ""] };
  return [...Array.from({ length: 8 }, () => ({ a: stays, b: stays })), { a: moves, b: stays }];
}

function chat(fleet: Fleet, seed: string, nemesis: (() => Promise<void>) | undefined): Promise<PairsReport> {
  return runPairs({
    pairs: pairsOf(fleet),
    seed,
    getToken: (uid) => fleet.tokens.mint(uid),
    messages: RATE * SECONDS,
    ratePerSecond: RATE,
    ...(nemesis
      ? {
          nemesis: async (run) => {
            await run.reached(DRAIN_AT);
            await nemesis();
          },
        }
      : {}),
  });
}

/** Routes by the incarnation they name: those of `leaving`'s are ghosts. */
async function countRoutes(fleet: Fleet): Promise<{ held: number; ghosts: number }> {
  const redis = createRedis(fleet.redisUrl, { name: "bench", commandTimeoutMs: 30_000 });
  try {
    if (!(await whenReady(redis, 10_000))) throw new Error("Redis is not ready");
    const keys = await redis.keys("r:*");
    const [stays, leaves] = [fleet.entry(1).podUid, fleet.entry(0).podUid];
    let [held, ghosts] = [0, 0];
    for (const key of keys) {
      for (const route of Object.values(await redis.hgetall(key))) {
        if (route.includes(leaves)) ghosts++;
        else if (route.includes(stays) && key.includes("held-")) held++;
      }
    }
    return { held, ghosts };
  } finally {
    redis.disconnect();
  }
}

interface AllMoved extends Moved {
  /** CPU per client that moved; what chat and heartbeats take is in it. */
  cpuMicros: Record<string, number>;
}

/** CPU seconds of each part while `run` runs; of a process that ends meanwhile, up to some 50 ms before. */
async function cpuOf(
  fleet: Fleet,
  holders: readonly GuardedProcess[],
  run: () => Promise<unknown>,
): Promise<Readonly<Record<string, number>>> {
  const before = cpuSecondsOfAll(fleet, holders);
  const used: Record<string, number> = {};
  const sample = (): void => {
    for (const [part, seconds] of Object.entries(cpuSecondsOfAll(fleet, holders)))
      used[part] = Math.max(used[part] ?? 0, seconds - (before[part] ?? 0));
  };
  const sampling = setInterval(sample, 50);
  try {
    await run();
    sample();
    return used;
  } finally {
    clearInterval(sampling);
  }
}

async function drain(fleet: Fleet, holders: readonly GuardedProcess[]): Promise<AllMoved> {
  let lines: Moved[] = [];
  let stopped: Promise<unknown> = Promise.resolve();
  const used = await cpuOf(fleet, holders, async () => {
    stopped = fleet.entry(0).stop(MOVE_TIMEOUT_MS);
    const told = await Promise.all(holders.map((holder) => holder.waitForOutput(ALL_MOVED, MOVE_TIMEOUT_MS)));
    lines = told.map(([line]) => JSON.parse(line) as Moved);
  });
  await stopped;
  return { ...lines.reduce(addMoved), cpuMicros: microsEach({}, used, EACH * HOLDERS) };
}

function startHolders(fleet: Fleet): Promise<GuardedProcess[]> {
  const common = { port: fleet.entry(0).plainPort, count: EACH, pingIntervalMs: PING_INTERVAL_MS, concurrency: 128 };
  const orders = Array.from({ length: HOLDERS }, (_, n) => ({ ...common, prefix: `held-${n}` }));
  const moveTo = [fleet.entry(1).plainPort];
  return Promise.all(orders.map((order) => startHolder(fleet, { ...order, moveTo, profileDir: PROFILE })));
}

async function measure(fleet: Fleet): Promise<boolean> {
  const holders = await startHolders(fleet);
  try {
    await Promise.all(holders.map((holder) => holder.waitForOutput(/"held":/, LOGIN_TIMEOUT_MS)));
    progress(`${EACH * HOLDERS} clients are logged in; ${await waitQuiet(QUIET_SECONDS)} cores are busy`);
    const calm = await chat(fleet, "calm", undefined);
    progress(`calm: p99 ${round1(calm.ackP99Ms)} ms`);
    let moved: AllMoved | undefined;
    const during = await chat(fleet, "drain", async () => {
      moved = await drain(fleet, holders);
    });
    await waitUntil("all are routed", async () => (await countRoutes(fleet)).held >= EACH * HOLDERS);
    return report(calm, during, moved, (await countRoutes(fleet)).ghosts);
  } finally {
    await Promise.all(holders.map((holder) => holder.stop(PROFILE ? "SIGTERM" : "SIGKILL")));
  }
}

function report(calm: PairsReport, during: PairsReport, moved: AllMoved | undefined, ghosts: number): boolean {
  const p99Ratio = round1(during.ackP99Ms / calm.ackP99Ms);
  const broken = during.lost + during.duplicated + during.reordered + during.corrupted;
  const checks = {
    moved: moved?.moved === EACH * HOLDERS,
    lastMs: (moved?.lastMs ?? Number.POSITIVE_INFINITY) <= TARGETS.lastMs,
    kept: broken === 0 && during.acked === during.sent && during.delivered === during.sent,
    ghosts: ghosts === 0,
    p99Ratio: p99Ratio <= TARGETS.p99Ratio,
  };
  const missed = missedOf(checks);
  const { sent, acked, delivered, lost, duplicated, reordered } = during;
  const kept = { sent, acked, delivered, lost, duplicated, reordered };
  const p99 = { calmP99Ms: round1(calm.ackP99Ms), drainP99Ms: round1(during.ackP99Ms), p99Ratio };
  const ok = missed.length === 0;
  console.log(
    JSON.stringify({
      bench: "drain",
      ok,
      missed,
      targets: TARGETS,
      windowMs: WINDOW_MS,
      ...moved,
      ghosts,
      ...p99,
      ...kept,
    }),
  );
  return ok;
}

const nodeArgs = PROFILE ? ["--cpu-prof", `--cpu-prof-dir=${PROFILE}`] : [];
const fleet = await startFleet({
  entries: 2,
  logics: 1,
  nodeArgs: { entry: nodeArgs, logic: nodeArgs },
  env: { ...UNLIMITED, IM_LOG_LEVEL: "warn", IM_PING_INTERVAL_MS: String(PING_INTERVAL_MS) },
  entryEnv: {
    IM_DRAIN_WINDOW_MS: String(WINDOW_MS),
    IM_DRAIN_DEADLINE_MS: String(MOVE_TIMEOUT_MS),
    IM_MAX_CONNECTIONS: String(CONNECTIONS + 1000),
  },
});
process.exitCode = (await withFleet(fleet, () => measure(fleet))) ? 0 : 1;
