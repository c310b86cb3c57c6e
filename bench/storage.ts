// SPDX-License-Identifier: Apache-2.0
// How large the database gets: 100,000 messages of 200 bytes between 2,000 users, each pair a conversation, then the size of every table with
// its indexes, per message. What a month's retention takes follows from it (docs/capacity.md). Ends with one JSON line.
import { createHash, randomUUID } from "node:crypto";
import pg from "pg";
import { silentLogger } from "#lib/logger.ts";
import { startPostgres } from "../e2e/harness/postgres.ts";
import { directConversationId } from "../logic/send/conversation.ts";
import { migrate } from "../logic/store/migrate.ts";
import { openPostgresStore } from "../logic/store/postgres-store.ts";
import type { AppendInput } from "../logic/store/store.ts";
import { envNumber, progress } from "./bench-kit.ts";

const MESSAGES = envNumber("IM_BENCH_MESSAGES", 100_000);
const BYTES = envNumber("IM_BENCH_BYTES", 200);
const USERS = envNumber("IM_BENCH_USERS", 2_000);
/** People write to few others. */
const PEERS = 20;
const BATCH = 200;

function inputOf(number: number): AppendInput {
  const from = Math.imul(number, 2_654_435_761) >>> 0;
  const sender = `user-${from % USERS}`;
  const peer = `user-${(from + 1 + ((from >>> 16) % PEERS)) % USERS}`;
  const content = Buffer.alloc(BYTES, "x");
  content.writeUInt32LE(number, 0);
  return {
    ...{ sender, peer, content, contentType: "text/plain", sentAtMs: Date.now() },
    clientMessageId: randomUUID(),
    payloadHash: createHash("sha256").update(content).digest(),
    conversationId: directConversationId(sender, peer),
    messageId: randomUUID(),
  };
}

interface Size {
  table: string;
  bytes: string;
}

/** Partitions count as their table. */
const SIZES = `
  SELECT COALESCE(parent.relname, own.relname) AS table, SUM(pg_total_relation_size(own.oid)) AS bytes
  FROM pg_class own
  LEFT JOIN pg_inherits ON inhrelid = own.oid
  LEFT JOIN pg_class parent ON parent.oid = inhparent
  WHERE own.relkind = 'r' AND own.relnamespace = 'public'::regnamespace
  GROUP BY 1 ORDER BY 2 DESC`;

const server = await startPostgres();
try {
  const url = await server.createDatabase("storage");
  await migrate({ url, log: silentLogger });
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const sizesOf = async (): Promise<Map<string, number>> => {
    const { rows } = await client.query<Size>(SIZES);
    return new Map(rows.map(({ table, bytes }) => [table, Number(bytes)]));
  };
  const before = await sizesOf();
  const store = await openPostgresStore({ url });
  for (let at = 0; at < MESSAGES; at += BATCH) {
    await store.append(Array.from({ length: Math.min(BATCH, MESSAGES - at) }, (_, n) => inputOf(at + n)));
    if (at % 20_000 === 0) progress(`${at} messages`);
  }
  await store.close();
  // Only now: tables that were looked at while they were empty get plans for empty tables.
  await client.query("VACUUM ANALYZE");
  const after = await sizesOf();
  await client.end();
  const grown = [...after].map(([table, bytes]) => [table, (bytes - (before.get(table) ?? 0)) / MESSAGES] as const);
  const perMessage = Object.fromEntries(
    grown.filter(([, bytes]) => bytes >= 1).map(([t, bytes]) => [t, Math.round(bytes)]),
  );
  const bytesPerMessage = Math.round(grown.reduce((sum, [, bytes]) => sum + bytes, 0));
  console.log(JSON.stringify({ messages: MESSAGES, contentBytes: BYTES, users: USERS, bytesPerMessage, perMessage }));
} finally {
  await server.stop();
}
