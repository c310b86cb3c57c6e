// SPDX-License-Identifier: Apache-2.0
// How long the first page of a list of conversations takes: a user with 10,000 of them asks through entry, logic and PostgreSQL as processes,
// one request after the other. Ends with one JSON line; exit code 1 over the target.
import { createHash, randomUUID } from "node:crypto";
import pg from "pg";
import { ImClient } from "#client";
import { nearestRank } from "#lib/nearest-rank.ts";
import { Command } from "#proto/commands.ts";
import { Contacts, ContactsPage } from "#proto/gen/messages.ts";
import { tcpTransport } from "../client/src/transport/tcp.ts";
import { type Fleet, startFleet } from "../e2e/harness/fleet.ts";
import { directConversationId } from "../logic/send/conversation.ts";
import { MAX_CHANGES } from "../logic/store/conversation-store.ts";
import { openPostgresStore } from "../logic/store/postgres-store.ts";
import type { AppendInput } from "../logic/store/store.ts";
import { envNumber, progress, round1, serverCpuSeconds, UNLIMITED, withFleet } from "./bench-kit.ts";
import { waitQuiet } from "./process-cpu.ts";

const CONVERSATIONS = envNumber("IM_BENCH_CONVERSATIONS", 10_000);
const ROUNDS = envNumber("IM_BENCH_ROUNDS", 1000);
const TARGET_MS = envNumber("IM_BENCH_TARGET", 20);
const QUIET_SECONDS = envNumber("IM_BENCH_QUIET_SECONDS", 20);
const WARM_UP_ROUNDS = 100;
const BYTES = 120;
const BATCH = 500;
const PAGE = 50;
const PINNED = 20;
/** One of these wrote last in a conversation: a third of the conversations has nothing unread. */
const TURNS = 3;
const USER = "bob";

const peerOf = (index: number): string => `peer-${index}`;

function inputOf(sender: string, peer: string): AppendInput {
  const content = Buffer.alloc(BYTES, "x");
  const conversationId = directConversationId(sender, peer);
  return {
    ...{ sender, clientMessageId: randomUUID(), conversationId, peer, messageId: randomUUID() },
    payloadHash: createHash("sha256").update(content).digest(),
    ...{ contentType: "text/plain", content, sentAtMs: Date.now() },
  };
}

/** Three messages in each conversation, a tenth of them read, some pinned. */
async function fill(fleet: Fleet): Promise<void> {
  const store = await openPostgresStore({ url: fleet.postgresUrl });
  for (let turn = 0; turn < TURNS; turn++) {
    for (let at = 0; at < CONVERSATIONS; at += BATCH) {
      const peers = Array.from({ length: Math.min(BATCH, CONVERSATIONS - at) }, (_, n) => at + n);
      const isOwn = (peer: number): boolean => peer % TURNS === turn;
      await store.append(
        peers.map((peer) => (isOwn(peer) ? inputOf(USER, peerOf(peer)) : inputOf(peerOf(peer), USER))),
      );
    }
  }
  const touched = Array.from({ length: CONVERSATIONS / 10 }, (_, n) => n * 10);
  for (let at = 0; at < touched.length; at += MAX_CHANGES) {
    const changes = touched.slice(at, at + MAX_CHANGES).map((peer, n) => ({
      ...{ userId: USER, conversationId: directConversationId(USER, peerOf(peer)), readSeq: 2 },
      ...(at + n < PINNED ? { pinned: true } : {}),
    }));
    await store.conversations.change(changes);
  }
  await store.close();
  const client = new pg.Client({ connectionString: fleet.postgresUrl });
  await client.connect();
  // As autovacuum does, but now.
  await client.query("VACUUM ANALYZE");
  await client.end();
}

type Ask = (request: Partial<Contacts>) => Promise<ContactsPage>;

/** The whole list, page by page. @throws Error when a conversation is missing, comes twice, or is wrong */
async function checkList(ask: Ask): Promise<{ pages: number; totalMs: number }> {
  const startedMs = performance.now();
  const seen = new Map<string, number>();
  let pages = 0;
  for (let before = 0, isEnd = false; !isEnd; isEnd = before === 0) {
    const page = await ask({ limit: PAGE, before });
    pages++;
    for (const { conversationId, unread } of page.contacts) {
      if (seen.has(conversationId)) throw new Error(`${conversationId} comes twice`);
      seen.set(conversationId, unread);
    }
    before = page.nextBefore;
  }
  const totalMs = performance.now() - startedMs;
  for (let peer = 0; peer < CONVERSATIONS; peer++) {
    const ownSeq = (peer % TURNS) + 1;
    const expected = TURNS - Math.max(ownSeq, peer % 10 === 0 ? 2 : 0);
    const unread = seen.get(directConversationId(USER, peerOf(peer)));
    if (unread !== expected) throw new Error(`peer ${peer}: ${unread} unread in place of ${expected}`);
  }
  if (seen.size !== CONVERSATIONS) throw new Error(`${seen.size} of ${CONVERSATIONS} conversations`);
  return { pages, totalMs };
}

async function timesOf(rounds: number, job: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const startedMs = performance.now();
    await job();
    times.push(performance.now() - startedMs);
  }
  return times.sort((a, b) => a - b);
}

async function measureWith(fleet: Fleet, ask: Ask): Promise<boolean> {
  const { pages, totalMs } = await checkList(ask);
  const first = (): Promise<ContactsPage> => ask({ limit: PAGE });
  const page = await first();
  const since = { changes: true, sinceVersion: page.version, sinceInboxSeq: page.inboxSeq };
  await timesOf(WARM_UP_ROUNDS, first);
  const cpuBefore = serverCpuSeconds(fleet);
  const times = await timesOf(ROUNDS, first);
  const cpuAfter = serverCpuSeconds(fleet);
  const cpuMs = (server: keyof typeof cpuAfter): number =>
    Math.round(((cpuAfter[server] - cpuBefore[server]) * 100_000) / ROUNDS) / 100;
  const nothingNew = await timesOf(ROUNDS, () => ask(since));
  const p99Ms = nearestRank(times, 0.99);
  const isGood = p99Ms <= TARGET_MS;
  const result = {
    bench: "contacts",
    ok: isGood,
    targetMs: TARGET_MS,
    conversations: CONVERSATIONS,
    pageConversations: page.contacts.length,
    pageBytes: ContactsPage.encode(page).length,
    firstPageMs: { p50: round1(nearestRank(times, 0.5)), p99: round1(p99Ms), max: round1(times.at(-1) ?? Number.NaN) },
    cpuMsPerPage: { entry: cpuMs("entry"), logic: cpuMs("logic"), postgres: cpuMs("postgres") },
    nothingNewMs: { p50: round1(nearestRank(nothingNew, 0.5)), p99: round1(nearestRank(nothingNew, 0.99)) },
    wholeListMs: round1(totalMs),
    pages,
  };
  console.log(JSON.stringify(result));
  return isGood;
}

async function measure(fleet: Fleet): Promise<boolean> {
  await fill(fleet);
  progress(`${CONVERSATIONS} conversations are stored; ${await waitQuiet(QUIET_SECONDS)} cores are busy`);
  const client = new ImClient({
    url: `tcp://127.0.0.1:${fleet.entry(0).plainPort}`,
    transport: tcpTransport(),
    getToken: () => fleet.tokens.mint(USER),
    deviceId: "bench",
    platform: "android",
    snapshot: true,
  });
  try {
    client.connect();
    await client.ready();
    return await measureWith(fleet, async (request) =>
      ContactsPage.decode(await client.request(Command.CONTACTS, Contacts.encode(request))),
    );
  } finally {
    await client.close();
  }
}

const fleet = await startFleet({
  entries: 1,
  logics: 1,
  durable: true,
  env: { ...UNLIMITED, IM_LOG_LEVEL: "warn", IM_PING_INTERVAL_MS: "300000" },
});
process.exitCode = (await withFleet(fleet, () => measure(fleet))) ? 0 : 1;
