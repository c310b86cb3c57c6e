// SPDX-License-Identifier: Apache-2.0
// How fast routes of a dead entry go and lost routes come back. Purge: 50,000 index entries of one incarnation, of which
// 5,000 users have moved on. Re-announcement: 20,000 sessions of two entries after FLUSHALL, through entry, logic and
// Redis as processes. Beside each the time of a bare pipeline of as many commands. Ends with one JSON line; exit code 1
// when a median is over its target.
import { systemClock } from "#lib/clock.ts";
import { createRedis, type Redis, type RedisCommand, runPipeline, whenReady } from "#lib/redis.ts";
import { type Fleet, startFleet } from "../e2e/harness/fleet.ts";
import { type GuardedProcess, waitUntil } from "../e2e/harness/processes.ts";
import { startRedis } from "../e2e/harness/redis.ts";
import { RedisRouter } from "../logic/router/redis.ts";
import type { Route } from "../logic/router/router.ts";
import { envNumber, progress, round1, UNLIMITED, withFleet } from "./bench-kit.ts";
import { startHolder } from "./holders.ts";
import { waitQuiet } from "./process-cpu.ts";

const ROUTES = envNumber("IM_BENCH_ROUTES", 50_000);
const FOREIGN = envNumber("IM_BENCH_FOREIGN", ROUTES / 10);
const SESSIONS = envNumber("IM_BENCH_SESSIONS", 20_000);
const PURGE_TARGET_MS = envNumber("IM_BENCH_PURGE_TARGET", 1000);
const ANNOUNCE_TARGET_MS = envNumber("IM_BENCH_ANNOUNCE_TARGET", 2000);
const PURGE_ROUNDS = envNumber("IM_BENCH_PURGE_ROUNDS", 5);
const ANNOUNCE_ROUNDS = envNumber("IM_BENCH_ANNOUNCE_ROUNDS", 7);
const QUIET_SECONDS = envNumber("IM_BENCH_QUIET_SECONDS", 20);
const ENTRIES = 2;
const CHUNK = 500;
const LOGIN_TIMEOUT_MS = 180_000;
const ANNOUNCE_TIMEOUT_MS = 30_000;
const POLL_MS = 10;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

async function connected(url: string): Promise<Redis> {
  const redis = createRedis(url, { name: "bench", commandTimeoutMs: 30_000 });
  if (!(await whenReady(redis, 10_000))) throw new Error("Redis is not ready");
  return redis;
}

async function inChunks<T>(items: readonly T[], run: (chunk: T[]) => Promise<unknown>): Promise<void> {
  for (let at = 0; at < items.length; at += CHUNK) await run(items.slice(at, at + CHUNK));
}

/** As many commands as the purge must send at least, one per route, in pipelines of the same size. */
async function measureFloor(redis: Redis, commands: readonly RedisCommand[]): Promise<number> {
  const startedMs = performance.now();
  await inChunks(commands, (chunk) => runPipeline(redis, chunk));
  return performance.now() - startedMs;
}

async function purgeRound(redis: Redis, round: number): Promise<{ purgeMs: number; floorMs: number }> {
  await redis.flushall();
  const router = new RedisRouter(redis, { clock: systemClock });
  const [dead, live] = [`dead.${round}`, `live.${round}`];
  const own = Array.from({ length: ROUTES }, (_, at): Route => {
    return { userId: `user-${at}`, slot: "mobile", incarnation: dead, conn: at + 1, loginSeq: 1, deviceId: "device" };
  });
  const moved = own.slice(0, FOREIGN).map((route) => ({ ...route, incarnation: live, loginSeq: 2 }));
  await inChunks(own, (chunk) => router.login(chunk));
  await inChunks(moved, (chunk) => router.login(chunk));
  await router.renewLease(live);
  const startedMs = performance.now();
  await router.fence(dead);
  const { deleted, remaining } = await router.purge(dead);
  const purgeMs = performance.now() - startedMs;
  if (deleted !== ROUTES - FOREIGN || remaining !== 0)
    throw new Error(`${deleted} deleted, ${remaining} remaining, of ${ROUTES}`);
  let kept = 0;
  await inChunks(own, async (chunk) => {
    for (const [, [route]] of await router.lookup(chunk.map(({ userId }) => userId)))
      if (route?.incarnation === live && route.loginSeq === 2) kept++;
  });
  const keys = await redis.keys("r:*");
  if (kept !== FOREIGN || keys.length !== FOREIGN) throw new Error(`${kept} foreign routes kept of ${FOREIGN}`);
  const floorMs = await measureFloor(
    redis,
    own.map(({ userId }) => ["HDEL", `r:{${userId}}`, "none"] as const),
  );
  return { purgeMs, floorMs };
}

async function measurePurge(): Promise<{ purgeMs: number; worstMs: number; floorMs: number }> {
  const server = await startRedis();
  const redis = await connected(server.url);
  try {
    await purgeRound(redis, 0);
    const rounds: { purgeMs: number; floorMs: number }[] = [];
    for (let round = 1; round <= PURGE_ROUNDS; round++) rounds.push(await purgeRound(redis, round));
    const times = rounds.map(({ purgeMs }) => purgeMs);
    return {
      purgeMs: median(times),
      worstMs: Math.max(...times),
      floorMs: median(rounds.map(({ floorMs }) => floorMs)),
    };
  } finally {
    redis.disconnect();
    await server.stop();
  }
}

async function holdSessions(fleet: Fleet): Promise<GuardedProcess[]> {
  const share = SESSIONS / ENTRIES;
  const holders = await Promise.all(
    fleet.entries.map(({ plainPort: port }, index) =>
      startHolder(fleet, { port, prefix: `held${index}`, count: share }),
    ),
  );
  await Promise.all(holders.map((holder) => holder.waitForOutput(/^\{"held":\d+/m, LOGIN_TIMEOUT_MS)));
  return holders;
}

async function routesStored(redis: Redis): Promise<number> {
  if ((await redis.dbsize()) < SESSIONS) return 0;
  return (await redis.keys("r:*")).length;
}

async function announceRound(redis: Redis): Promise<number> {
  // At a random moment of the polls that notice the loss.
  await sleep(Math.random() * 1000);
  const startedMs = performance.now();
  await redis.flushall();
  while ((await routesStored(redis)) < SESSIONS) {
    if (performance.now() - startedMs > ANNOUNCE_TIMEOUT_MS) throw new Error("the routes did not come back");
    await sleep(POLL_MS);
  }
  const tookMs = performance.now() - startedMs;
  // A second pass, asked for by another logic, ends before the next round begins.
  await sleep(2000);
  return tookMs;
}

/** One SADD and one HSET per session: what has to be written at least. */
async function announceFloor(redis: Redis): Promise<number> {
  const commands = Array.from({ length: SESSIONS }, (_, at): RedisCommand[] => [
    ["SADD", `floor:${at % 32}`, `${at}:user-${at}`],
    ["HSET", `floor:{user-${at}}`, "mobile", `incarnation;${at};1;1;device`],
  ]).flat();
  return await measureFloor(redis, commands);
}

async function measureAnnounce(fleet: Fleet): Promise<{ times: number[]; floorMs: number }> {
  const redis = await connected(fleet.redis.url);
  const holders = await holdSessions(fleet);
  try {
    await waitUntil("all routes are stored", async () => (await routesStored(redis)) >= SESSIONS);
    progress(`${SESSIONS} sessions are logged in; ${await waitQuiet(QUIET_SECONDS)} cores are busy`);
    const times: number[] = [];
    for (let round = 0; round < ANNOUNCE_ROUNDS; round++) times.push(await announceRound(redis));
    return { times, floorMs: await announceFloor(redis) };
  } finally {
    redis.disconnect();
    await Promise.all(holders.map((holder) => holder.stop("SIGKILL")));
  }
}

async function measure(fleet: Fleet): Promise<boolean> {
  const purge = await measurePurge();
  progress(`purge of ${ROUTES}: ${round1(purge.purgeMs)} ms`);
  const { times, floorMs } = await measureAnnounce(fleet);
  const worstMs = Math.max(...times);
  const ok = purge.purgeMs <= PURGE_TARGET_MS && median(times) <= ANNOUNCE_TARGET_MS;
  const result = {
    bench: "router",
    ok,
    routes: ROUTES,
    foreignKept: FOREIGN,
    purgeTargetMs: PURGE_TARGET_MS,
    purgeMs: round1(purge.purgeMs),
    purgeWorstMs: round1(purge.worstMs),
    purgeFloorMs: round1(purge.floorMs),
    purgeRatioToFloor: round1(purge.purgeMs / purge.floorMs),
    sessions: SESSIONS,
    announceTargetMs: ANNOUNCE_TARGET_MS,
    announceMs: round1(median(times)),
    announceWorstMs: round1(worstMs),
    announceFloorMs: round1(floorMs),
    announceRatioToFloor: round1(median(times) / floorMs),
  };
  console.log(JSON.stringify(result));
  return ok;
}

const fleet = await startFleet({
  entries: ENTRIES,
  logics: 1,
  env: { ...UNLIMITED, IM_LOG_LEVEL: "warn", IM_PING_INTERVAL_MS: "600000" },
});
process.exitCode = (await withFleet(fleet, () => measure(fleet))) ? 0 : 1;
