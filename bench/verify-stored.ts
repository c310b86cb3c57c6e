// SPDX-License-Identifier: Apache-2.0
import pg from "pg";

/** What the database holds after a run. */
export interface StoredFigures {
  messages: number;
  /** Devices whose receipts do not reach the head of their user's inbox. */
  devicesBehind: number;
}

const TIMEOUT_MS = 60_000;

/** Counts rows: the load generator's own figures are only believed when these agree. */
export async function verifyStored(postgresUrl: string): Promise<StoredFigures> {
  const client = new pg.Client({ connectionString: postgresUrl, query_timeout: TIMEOUT_MS });
  await client.connect();
  try {
    const { rows } = await client.query<{ messages: number; behind: number }>(`
      SELECT (SELECT count(*)::int FROM message) AS messages,
             (SELECT count(*)::int FROM device d JOIN inbox_head h USING (user_id) WHERE d.acked_seq < h.head) AS behind`);
    return { messages: rows[0]?.messages ?? 0, devicesBehind: rows[0]?.behind ?? 0 };
  } finally {
    await client.end();
  }
}
