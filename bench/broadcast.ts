// SPDX-License-Identifier: Apache-2.0
// Urgent broadcasts to 10,000 users who are connected, through the server API, logic, entry, PostgreSQL and Redis as processes: how long until
// the last one has it, and what it costs. Then a list of a million registered users: how many rows it is. Then logins when nothing is new:
// whether they touch a table of broadcasts. Ends with one JSON line; exit code 1 over a target.
import pg from "pg";
import { nearestRank } from "#lib/nearest-rank.ts";
import { type Fleet, startFleet } from "../e2e/harness/fleet.ts";
import { freePort } from "../e2e/harness/ports.ts";
import type { GuardedProcess } from "../e2e/harness/processes.ts";
import { callApi, createApiKey } from "../e2e/process/api-caller.ts";
import { MAX_USERS_AT_ONCE } from "../logic/store/broadcast-store.ts";
import { envNumber, missedOf, progress, round1, serverCpuSeconds, UNLIMITED, withFleet } from "./bench-kit.ts";
import { startHolder } from "./holders.ts";
import { waitQuiet } from "./process-cpu.ts";

const USERS = envNumber("IM_BENCH_USERS", 10_000);
const LISTED = envNumber("IM_BENCH_LISTED", 1_000_000);
const ROUNDS = envNumber("IM_BENCH_ROUNDS", 20);
const LOGINS = envNumber("IM_BENCH_LOGINS", 500);
const QUIET_SECONDS = envNumber("IM_BENCH_QUIET_SECONDS", 20);
const TARGETS = { lastMs: 150, cpuMicros: 12 };
const HOLDERS = 2;
const EACH = Math.ceil(USERS / HOLDERS);
const LOGIN_TIMEOUT_MS = 120_000;
const REACH_TIMEOUT_MS = 30_000;
const WARM_UP_ROUNDS = 3;
const PAUSE_MS = 200;
/** A backend of PostgreSQL that is idle tells its figures after ten seconds. */
const STATS_MS = 12_000;
const HOUR_MS = 3_600_000;

const apiPort = await freePort();

interface World {
  fleet: Fleet;
  key: string;
  database: pg.Client;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function post({ key }: World, path: string, body: object): Promise<Record<string, unknown>> {
  const answer = await callApi(apiPort, { method: "POST", path, key, body });
  if (answer.status >= 300) throw new Error(`${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}

function create(world: World, fields: object): Promise<Record<string, unknown>> {
  const sale = { contentType: "text/plain", content: "half price until midnight", notAfterMs: Date.now() + HOUR_MS };
  return post(world, "/v1/broadcasts", { ...sale, ...fields });
}

/** From the call to the last receiver, ms. */
async function reach(world: World, holders: readonly GuardedProcess[], round: number): Promise<number> {
  const startedMs = performance.timeOrigin + performance.now();
  const line = new RegExp(`\\{"broadcast":${round},"lastMs":([0-9.]+)\\}`);
  const reached = holders.map((holder) => holder.waitForOutput(line, REACH_TIMEOUT_MS));
  await create(world, { audience: "all", urgent: true });
  const lasts = (await Promise.all(reached)).map((match) => Number(match[1]));
  return Math.max(...lasts) - startedMs;
}

async function measureReach(world: World): Promise<{ lastMs: number[]; cpuMicros: Record<string, number> }> {
  const { fleet } = world;
  const order = { port: fleet.entry(0).plainPort, count: EACH, concurrency: 128 };
  const holders = await Promise.all(
    Array.from({ length: HOLDERS }, (_, n) => startHolder(fleet, { ...order, prefix: `held-${n}` })),
  );
  try {
    await Promise.all(holders.map((holder) => holder.waitForOutput(/"held":/, LOGIN_TIMEOUT_MS)));
    progress(`${EACH * HOLDERS} users are logged in; ${await waitQuiet(QUIET_SECONDS)} cores are busy`);
    for (let round = 1; round <= WARM_UP_ROUNDS; round++) await reach(world, holders, round);
    const before = serverCpuSeconds(fleet);
    const lastMs: number[] = [];
    for (let round = 1; round <= ROUNDS; round++) {
      lastMs.push(await reach(world, holders, WARM_UP_ROUNDS + round));
      await sleep(PAUSE_MS);
    }
    const after = serverCpuSeconds(fleet);
    const micros = (server: keyof typeof after): number =>
      round1(((after[server] - before[server]) * 1e6) / (ROUNDS * EACH * HOLDERS));
    const cpuMicros = { entry: micros("entry"), logic: micros("logic"), postgres: micros("postgres") };
    return { lastMs: lastMs.sort((a, b) => a - b), cpuMicros };
  } finally {
    await Promise.all(holders.map((holder) => holder.stop("SIGKILL")));
  }
}

const ROWS = `SELECT (SELECT count(*) FROM broadcast) + (SELECT count(*) FROM broadcast_part) AS stored,
  (SELECT count(*) FROM broadcast_reader) AS users`;

/** Rows that a broadcast to a list of registered users adds. */
async function measureList(
  world: World,
): Promise<{ rows: number; userRows: number; bitmapBytes: number; seconds: number }> {
  const { database } = world;
  await database.query(
    "INSERT INTO broadcast_reader (user_id, floor_seq) SELECT 'shop-' || n, 0 FROM generate_series(1, $1) AS n",
    [LISTED],
  );
  progress(`${LISTED} users are registered`);
  const before = (await database.query<{ stored: string; users: string }>(ROWS)).rows[0];
  const startedMs = performance.now();
  let broadcastId = "";
  for (let at = 0; at < LISTED; at += MAX_USERS_AT_ONCE) {
    const count = Math.min(MAX_USERS_AT_ONCE, LISTED - at);
    const userIds = Array.from({ length: count }, (_, n) => `shop-${at + n + 1}`);
    const window = { notBeforeMs: Date.now() + HOUR_MS, notAfterMs: Date.now() + 2 * HOUR_MS };
    if (at > 0) await post(world, `/v1/broadcasts/${broadcastId}/users`, { userIds });
    else broadcastId = String((await create(world, { audience: "users", userIds, ...window })).broadcastId);
  }
  const seconds = (performance.now() - startedMs) / 1000;
  const after = (await database.query<{ stored: string; users: string }>(ROWS)).rows[0];
  const list = await database.query<{ bytes: number; users: number }>(
    `SELECT octet_length(p.users) AS bytes, b.users FROM broadcast_part p JOIN broadcast b USING (broadcast_id) WHERE broadcast_id = $1`,
    [broadcastId],
  );
  if (list.rows[0]?.users !== LISTED) throw new Error(`${list.rows[0]?.users} of ${LISTED} are on the list`);
  return {
    rows: Number(after?.stored) - Number(before?.stored),
    userRows: Number(after?.users) - Number(before?.users),
    bitmapBytes: list.rows[0].bytes,
    seconds: round1(seconds),
  };
}

/** What was read or written in tables that only broadcasts of users need. */
const TOUCHED = `SELECT coalesce(sum(coalesce(seq_scan, 0) + coalesce(idx_scan, 0) + n_tup_ins + n_tup_upd), 0)::bigint AS touched
  FROM pg_stat_user_tables WHERE relname IN ('broadcast', 'broadcast_reader')`;

/** Logins of users who have been here before, when nothing is new: how often they touch those tables. */
async function measureLogins(world: World): Promise<number> {
  const { fleet, database } = world;
  const logIn = async (): Promise<void> => {
    const order = { port: fleet.entry(0).plainPort, count: LOGINS, concurrency: 32, prefix: "again" };
    const holder = await startHolder(fleet, order);
    await holder.waitForOutput(/"held":/, LOGIN_TIMEOUT_MS);
    await holder.stop("SIGKILL");
  };
  const touched = async (): Promise<number> => {
    await sleep(STATS_MS);
    return Number((await database.query<{ touched: string }>(TOUCHED)).rows[0]?.touched);
  };
  await logIn();
  const before = await touched();
  await logIn();
  return (await touched()) - before;
}

async function measure(fleet: Fleet): Promise<boolean> {
  const database = new pg.Client({ connectionString: fleet.postgresUrl });
  await database.connect();
  try {
    const world = { fleet, database, key: await createApiKey(fleet.postgresUrl, ["broadcasts:manage"]) };
    const { lastMs, cpuMicros } = await measureReach(world);
    const loginTouches = await measureLogins(world);
    const list = await measureList(world);
    const [p50, max] = [nearestRank(lastMs, 0.5), lastMs.at(-1) ?? Number.NaN];
    const sum = round1(Object.values(cpuMicros).reduce((total, each) => total + each, 0));
    const checks = {
      lastMs: p50 <= TARGETS.lastMs,
      cpuMicros: sum <= TARGETS.cpuMicros,
      rows: list.rows === 2 && list.userRows === 0,
      loginTouches: loginTouches === 0,
    };
    const missed = missedOf(checks);
    const result = {
      ...{
        bench: "broadcast",
        ok: missed.length === 0,
        missed,
        targets: TARGETS,
        users: EACH * HOLDERS,
        rounds: ROUNDS,
      },
      lastReceiverMs: { p50: round1(p50), max: round1(max) },
      cpuMicrosPerDelivery: { ...cpuMicros, sum },
      ...{ listed: LISTED, list, logins: LOGINS, loginTouches },
    };
    console.log(JSON.stringify(result));
    return missed.length === 0;
  } finally {
    await database.end();
  }
}

const fleet = await startFleet({
  ...{ entries: 1, logics: 1, durable: true },
  env: { ...UNLIMITED, IM_LOG_LEVEL: "warn", IM_PING_INTERVAL_MS: "300000" },
  logicEnv: { IM_API_PORT: String(apiPort), IM_API_RATE_PER_SECOND: "1000" },
});
process.exitCode = (await withFleet(fleet, () => measure(fleet))) ? 0 : 1;
