// SPDX-License-Identifier: Apache-2.0
import pg from "pg";
import type { StoredMessage } from "../checker/history.ts";
import { factsOf } from "./message-facts.ts";

const TIMEOUT_MS = 30_000;

interface Row {
  conversation_id: string;
  seq: string;
  message_id: string;
  sender: string;
  client_message_id: string;
  content_type: string;
  content: Buffer;
}

/** Every message row of the database, for the checks of a history against the store. */
export function readStored(postgresUrl: string): Promise<StoredMessage[]> {
  return connected(postgresUrl, async (client) => {
    const columns = "conversation_id, seq, message_id, sender, client_message_id, content_type, content";
    const { rows } = await client.query<Row>(`SELECT ${columns} FROM message ORDER BY conversation_id, seq`);
    return rows.map((row) => ({
      conv: row.conversation_id,
      seq: Number(row.seq),
      messageId: row.message_id,
      sender: row.sender,
      cmid: row.client_message_id,
      ...factsOf({ contentType: row.content_type, content: row.content }),
    }));
  });
}

/** The newest position of every inbox, by user. */
export function readInboxHeads(postgresUrl: string): Promise<Map<string, number>> {
  return connected(postgresUrl, async (client) => {
    const { rows } = await client.query<{ user_id: string; head: string }>("SELECT user_id, head FROM inbox_head");
    return new Map(rows.map(({ user_id, head }) => [user_id, Number(head)]));
  });
}

/** What is in force: the content of each broadcast is its name. By number. */
export function readBroadcasts(postgresUrl: string): Promise<{ id: string; seq: number }[]> {
  return connected(postgresUrl, async (client) => {
    const { rows } = await client.query<{ content: Buffer; activation_seq: string }>(
      `SELECT b.content, p.activation_seq FROM broadcast_part p JOIN broadcast b USING (broadcast_id)
        WHERE p.activation_seq IS NOT NULL ORDER BY p.activation_seq`,
    );
    return rows.map(({ content, activation_seq }) => ({ id: content.toString(), seq: Number(activation_seq) }));
  });
}

/** How many rows a conversation has, and how many pointers to them all inboxes together. */
export function countRows(
  postgresUrl: string,
  conversationId: string,
): Promise<{ messages: number; pointers: number }> {
  return connected(postgresUrl, async (client) => {
    const countOf = async (table: string): Promise<number> => {
      const text = `SELECT count(*)::int AS rows FROM ${table} WHERE conversation_id = $1`;
      return (await client.query<{ rows: number }>(text, [conversationId])).rows[0]?.rows ?? 0;
    };
    return { messages: await countOf("message"), pointers: await countOf("inbox") };
  });
}

async function connected<T>(connectionString: string, job: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: TIMEOUT_MS, query_timeout: TIMEOUT_MS });
  await client.connect();
  try {
    return await job(client);
  } finally {
    await client.end();
  }
}
