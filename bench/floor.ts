// SPDX-License-Identifier: Apache-2.0
// The floor under every figure of `bench/send.ts`: how fast this PostgreSQL commits the same rows when nothing else has to
// be done - no socket, no lock on counters, no lookup, numbers from memory.
import { randomBytes, randomUUID } from "node:crypto";
import pg from "pg";
import { bigintArray, byteaArray, textArray, uuidArray } from "../logic/store/binary-array.ts";

/** Options of {@link measureFloor}. */
export interface FloorOptions {
  /** Per batch size. */
  seconds: number;
  users: number;
  contentBytes: number;
  /** Rows of `message` per transaction, tried one after the other. Default 100, 250, 500. */
  batchSizes?: readonly number[];
  /** Default 2. */
  connections?: number;
  /** CPU seconds of the server so far; asked while all connections are open, because a backend that ends moves its time. */
  cpuSeconds: () => number;
}

/** The best of the batch sizes. */
export interface FloorFigures {
  messagesPerSecond: number;
  /** One message, two inbox pointers, one idempotency key. */
  rowsPerSecond: number;
  batchSize: number;
  /** The server's CPU per message, over all batch sizes. */
  cpuMicrosPerMessage: number;
}

/** A one-to-one message costs these rows. */
export const ROWS_PER_MESSAGE = 4;

/** One round trip and one commit per batch. */
const INSERT = `
  WITH messages AS (
    INSERT INTO message (conversation_id, seq, created_ms, message_id, sender, client_message_id, content_type, content)
    SELECT a, b, c, d, e, f, '', g
      FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::uuid[], $5::text[], $6::text[], $7::bytea[])
           AS u(a, b, c, d, e, f, g)
  ), pointers AS (
    INSERT INTO inbox (user_id, seq, conversation_id, conv_seq, created_ms)
    SELECT * FROM unnest($8::text[], $9::bigint[], $10::text[], $11::bigint[], $12::bigint[])
  )
  INSERT INTO idempotency
    (sender, client_message_id, payload_hash, message_id, conversation_id, conv_seq, sender_inbox_seq, created_ms)
  SELECT * FROM unnest($5::text[], $6::text[], $13::bytea[], $4::uuid[], $1::text[], $2::bigint[], $14::bigint[], $3::bigint[])`;

/** Sequences kept in memory: the floor takes no row lock. */
class Counters {
  readonly #values = new Map<string, number>();

  next(key: string): number {
    const value = (this.#values.get(key) ?? 0) + 1;
    this.#values.set(key, value);
    return value;
  }
}

/** Makes batches of random one-to-one messages between `users` users, as the load generator sends them. */
function batchMaker(users: number, contentBytes: number): (size: number) => Buffer[] {
  const counters = new Counters();
  const content = Buffer.alloc(contentBytes, "x");
  const hash = randomBytes(32);
  let sent = 0;
  return (size) => {
    const nowMs = Date.now();
    const indexes = Array.from({ length: size }, () => ({
      from: Math.floor(Math.random() * users),
      step: 1 + Math.floor(Math.random() * (users - 1)),
    }));
    const senders = indexes.map(({ from }) => `floor${from}`);
    const peers = indexes.map(({ from, step }) => `floor${(from + step) % users}`);
    const conversations = senders.map((sender, i) => conversationOf(sender, peers[i] ?? ""));
    const conversationSeqs = conversations.map((id) => counters.next(id));
    const ids = senders.map(() => randomUUID());
    const clientIds = senders.map(() => `floor-${sent++}`);
    const times = senders.map(() => nowMs);
    const owners = [...senders, ...peers];
    const inboxSeqs = owners.map((user) => counters.next(user));
    const twice = <T>(values: readonly T[]): T[] => [...values, ...values];
    return [
      textArray(conversations),
      bigintArray(conversationSeqs),
      bigintArray(times),
      uuidArray(ids),
      textArray(senders),
      textArray(clientIds),
      byteaArray(senders.map(() => content)),
      textArray(owners),
      bigintArray(inboxSeqs),
      textArray(twice(conversations)),
      bigintArray(twice(conversationSeqs)),
      bigintArray(twice(times)),
      byteaArray(senders.map(() => hash)),
      bigintArray(inboxSeqs.slice(0, size)),
    ];
  };
}

/** As long as the real id: `c_` and 32 characters. */
function conversationOf(a: string, b: string): string {
  return `c_${(a < b ? `${a}:${b}` : `${b}:${a}`).padEnd(32, ".")}`;
}

/** Fills the migrated, otherwise unused database at `url`. */
export async function measureFloor(url: string, options: FloorOptions): Promise<FloorFigures> {
  const { seconds, batchSizes = [100, 250, 500], connections = 2 } = options;
  const clients = Array.from({ length: connections }, () => new pg.Client({ connectionString: url }));
  await Promise.all(clients.map((client) => client.connect()));
  const make = batchMaker(options.users, options.contentBytes);
  let best = { messagesPerSecond: 0, rowsPerSecond: 0, batchSize: 0 };
  let total = 0;
  const cpuBefore = options.cpuSeconds();
  try {
    for (const batchSize of batchSizes) {
      const startedMs = performance.now();
      const endMs = startedMs + seconds * 1000;
      let messages = 0;
      const work = async (client: pg.Client): Promise<void> => {
        while (performance.now() < endMs) {
          await client.query({ name: "floor", text: INSERT, values: make(batchSize) });
          messages += batchSize;
        }
      };
      await Promise.all(clients.map(work));
      const rate = Math.round((messages * 1000) / (performance.now() - startedMs));
      total += messages;
      if (rate > best.messagesPerSecond)
        best = { messagesPerSecond: rate, rowsPerSecond: rate * ROWS_PER_MESSAGE, batchSize };
    }
    const cpuMicros = (options.cpuSeconds() - cpuBefore) * 1e6;
    return { ...best, cpuMicrosPerMessage: Math.round((cpuMicros / total) * 10) / 10 };
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}
