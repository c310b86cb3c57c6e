// SPDX-License-Identifier: Apache-2.0
import pg from "pg";
import { bodyHashOf, type StoredMessage } from "../checker/history.ts";

const TIMEOUT_MS = 30_000;

interface Row {
  conversation_id: string;
  seq: string;
  message_id: string;
  sender: string;
  client_message_id: string;
  content: Buffer;
}

/** Every message row of the database, for the checks of a history against the store. */
export async function readStored(postgresUrl: string): Promise<StoredMessage[]> {
  const client = new pg.Client({
    connectionString: postgresUrl,
    connectionTimeoutMillis: TIMEOUT_MS,
    query_timeout: TIMEOUT_MS,
  });
  await client.connect();
  try {
    const columns = "conversation_id, seq, message_id, sender, client_message_id, content";
    const { rows } = await client.query<Row>(`SELECT ${columns} FROM message ORDER BY conversation_id, seq`);
    return rows.map((row) => ({
      conv: row.conversation_id,
      seq: Number(row.seq),
      messageId: row.message_id,
      sender: row.sender,
      cmid: row.client_message_id,
      bodyHash: bodyHashOf(row.content),
    }));
  } finally {
    await client.end();
  }
}
