// SPDX-License-Identifier: Apache-2.0
// How long a device that comes back takes to have everything: 10,000 messages of 200 bytes from 20 conversations, pulled by
// one client through entry, logic and PostgreSQL as processes, beside PostgreSQL's own time for the same rows. Ends with
// one JSON line; exit code 1 over the target.
import { createHash, randomUUID } from "node:crypto";
import pg from "pg";
import { ImClient } from "#client";
import { tcpTransport } from "../client/src/transport/tcp.ts";
import { type Fleet, startFleet } from "../e2e/harness/fleet.ts";
import { waitUntil } from "../e2e/harness/processes.ts";
import { directConversationId } from "../logic/send/conversation.ts";
import { readPage } from "../logic/store/page-read.ts";
import { PostgresPool } from "../logic/store/postgres-pool.ts";
import { openPostgresStore } from "../logic/store/postgres-store.ts";
import type { AppendInput } from "../logic/store/store.ts";
import { envNumber, progress, residentMiB, round1, serverCpuSeconds, UNLIMITED, withFleet } from "./bench-kit.ts";
import { waitQuiet } from "./process-cpu.ts";
import { PullClient, type PullFigures } from "./pull-client.ts";

const MESSAGES = envNumber("IM_BENCH_MESSAGES", 10_000);
const BYTES = envNumber("IM_BENCH_BYTES", 200);
const ROUNDS = envNumber("IM_BENCH_ROUNDS", 12);
const TARGET_MS = envNumber("IM_BENCH_TARGET", 90);
const QUIET_SECONDS = envNumber("IM_BENCH_QUIET_SECONDS", 20);
const SENDERS = 20;
const WARM_UP_ROUNDS = 4;
const BATCH = 500;
const PAGE_EVENTS = 1000;
const PAGE_BYTES = 240 * 1024;
const RECIPIENT = "bob";

function inputOf(number: number): AppendInput {
  const sender = `sender-${number % SENDERS}`;
  const content = Buffer.alloc(BYTES, "x");
  content.writeUInt32LE(number, 0);
  const conversationId = directConversationId(sender, RECIPIENT);
  return {
    sender,
    clientMessageId: randomUUID(),
    payloadHash: createHash("sha256").update(content).digest(),
    conversationId,
    peer: RECIPIENT,
    messageId: randomUUID(),
    contentType: "text/plain",
    content,
    sentAtMs: Date.now(),
  };
}

async function fill(fleet: Fleet): Promise<void> {
  const store = await openPostgresStore({ url: fleet.postgresUrl });
  for (let at = 0; at < MESSAGES; at += BATCH)
    await store.append(Array.from({ length: Math.min(BATCH, MESSAGES - at) }, (_, n) => inputOf(at + n)));
  await store.close();
  const client = new pg.Client({ connectionString: fleet.postgresUrl });
  await client.connect();
  // As autovacuum does, but now.
  await client.query("VACUUM ANALYZE");
  await client.end();
}

/** One pull of a fresh device. @throws Error when anything is missing, doubled or out of order */
async function pull(fleet: Fleet, device: number): Promise<PullFigures> {
  let expected = 1;
  const client = new PullClient(PAGE_EVENTS, PAGE_BYTES, (inboxSeq, content) => {
    if (inboxSeq !== expected || content.length !== BYTES || content.readUInt32LE(0) !== expected - 1)
      throw new Error(`event ${inboxSeq} of ${content.length} bytes in place of ${expected}`);
    expected++;
  });
  const figures = await client.run(fleet.entry(0).plainPort, await fleet.tokens.mint(RECIPIENT), `device-${device}`);
  if (figures.events !== MESSAGES) throw new Error(`${figures.events} of ${MESSAGES} events`);
  return figures;
}

/** The same through the SDK, to the application's listener. */
async function pullBySdk(fleet: Fleet): Promise<number> {
  const client = new ImClient({
    url: `tcp://127.0.0.1:${fleet.entry(0).plainPort}`,
    transport: tcpTransport(),
    getToken: () => fleet.tokens.mint(RECIPIENT),
    deviceId: "sdk",
    platform: "android",
  });
  let received = 0;
  client.on("message", () => received++);
  const startedMs = performance.now();
  client.connect();
  await waitUntil("the SDK has everything", () => received === MESSAGES, 60_000);
  const tookMs = performance.now() - startedMs;
  await client.close();
  return tookMs;
}

/** PostgreSQL's own time for the same rows: one connection is asked for the same pages, whose rows are dropped. */
async function measureFloor(url: string, pages: number): Promise<number> {
  const limits = { connections: 1, maxWaiting: 1, waitTimeoutMs: 10_000 };
  const pool = new PostgresPool({ url, name: "floor", ...limits });
  const limit = Math.ceil(MESSAGES / pages);
  let bestMs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 2 * WARM_UP_ROUNDS; round++) {
    const startedMs = performance.now();
    let cursor = 0;
    while (cursor < MESSAGES) {
      const { end } = await readPage(pool, { userId: RECIPIENT, cursor, limit, limitBytes: 2 * PAGE_BYTES });
      if (end.nextCursor !== Math.min(MESSAGES, cursor + limit)) throw new Error(`the floor came to ${end.nextCursor}`);
      cursor = end.nextCursor;
    }
    bestMs = Math.min(bestMs, performance.now() - startedMs);
  }
  await pool.close();
  return bestMs;
}

async function measure(fleet: Fleet): Promise<boolean> {
  await fill(fleet);
  progress(`${MESSAGES} messages of ${BYTES} bytes are stored; ${await waitQuiet(QUIET_SECONDS)} cores are busy`);
  const rounds: PullFigures[] = [];
  for (let round = 0; round < WARM_UP_ROUNDS; round++) await pull(fleet, round);
  const pids = { entry: fleet.entry(0).pid, logic: fleet.logic(0).pid };
  const before = { entry: residentMiB(pids.entry).peak, logic: residentMiB(pids.logic).peak };
  const cpuBefore = serverCpuSeconds(fleet);
  for (let round = 0; round < ROUNDS; round++) rounds.push(await pull(fleet, WARM_UP_ROUNDS + round));
  const cpuAfter = serverCpuSeconds(fleet);
  const cpuMs = (server: keyof typeof cpuAfter): number =>
    round1(((cpuAfter[server] - cpuBefore[server]) * 1000) / ROUNDS);
  const sorted = rounds.map(({ pullMs }) => pullMs).sort((a, b) => a - b);
  const bestMs = sorted[0] ?? Number.NaN;
  const [{ pages, maxPageBytes, loginMs } = rounds[0] as PullFigures] = rounds;
  const floorMs = await measureFloor(fleet.postgresUrl, pages);
  const isGood = bestMs <= TARGET_MS;
  const result = {
    bench: "offline",
    ok: isGood,
    targetMs: TARGET_MS,
    messages: MESSAGES,
    contentBytes: BYTES,
    pullMs: round1(bestMs),
    pullMedianMs: round1(sorted[sorted.length >> 1] ?? Number.NaN),
    loginMs: round1(loginMs),
    floorMs: round1(floorMs),
    ratioToFloor: Math.round((bestMs / floorMs) * 100) / 100,
    messagesPerSecond: Math.round((MESSAGES * 1000) / bestMs),
    cpuMsPerPull: { entry: cpuMs("entry"), logic: cpuMs("logic"), postgres: cpuMs("postgres") },
    pages,
    maxPageBytes,
    peakGrowthMiB: {
      entry: round1(residentMiB(pids.entry).peak - before.entry),
      logic: round1(residentMiB(pids.logic).peak - before.logic),
    },
    sdkMs: round1(Math.min(await pullBySdk(fleet), await pullBySdk(fleet))),
  };
  console.log(JSON.stringify(result));
  return isGood;
}

const profile = process.env.IM_BENCH_PROFILE ?? "";
const nodeArgs = profile ? ["--cpu-prof", `--cpu-prof-dir=${profile}`] : [];
const fleet = await startFleet({
  entries: 1,
  logics: 1,
  durable: true,
  // Each round is a login of one user.
  env: { ...UNLIMITED, IM_LOG_LEVEL: "warn", IM_PING_INTERVAL_MS: "300000" },
  nodeArgs: { entry: nodeArgs, logic: nodeArgs },
});
process.exitCode = (await withFleet(fleet, () => measure(fleet))) ? 0 : 1;
