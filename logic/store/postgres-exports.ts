// SPDX-License-Identifier: Apache-2.0
import type { ExportedMessage, ExportedOrder, ExportPage, ExportRequest, ExportStore, OwnRequest } from "./exports.ts";
import type { StoredReport } from "./policy-store.ts";
import { REPORT_COLUMNS, toReport } from "./postgres-policy.ts";
import type { PostgresPool, Row, Statement } from "./postgres-pool.ts";
import { number, text } from "./rows.ts";

/** $1 conversation: whose it is, both users or none, held?, last seq. */
const HEAD: Statement = {
  name: "export_head",
  text: `SELECT coalesce(c.user_a,
                  (SELECT m.user_id FROM conversation_member m WHERE m.conversation_id = c.conversation_id LIMIT 1),
                  (SELECT m.sender FROM message m WHERE m.conversation_id = c.conversation_id LIMIT 1)),
                coalesce(c.user_a, ''), coalesce(c.user_b, ''), is_held_v1(c.conversation_id, ''), c.last_seq
           FROM conversation c WHERE c.conversation_id = $1 AND c.last_seq > 0`,
};

/** $1 conversation, $2 behind this seq, $3 most messages, $4 most bytes of contents. */
const MESSAGES: Statement = {
  name: "export_messages",
  text: `SELECT seq, message_id, sender, client_message_id, content_type, encode(content, 'hex'), created_ms, only_for
           FROM (SELECT m.*, sum(octet_length(m.content)) OVER (ORDER BY m.seq) AS bytes, row_number() OVER (ORDER BY m.seq) AS n
                   FROM (SELECT * FROM message WHERE conversation_id = $1 AND seq > $2 ORDER BY seq LIMIT $3) m) p
          WHERE p.n = 1 OR p.bytes <= $4 ORDER BY p.seq`,
};

const ordersOf = (own: string, peer: string): string =>
  `(SELECT order_ref, ${peer} AS peer, created_ms FROM conversation_order
             WHERE ${own} = $1 AND created_ms > $2 ORDER BY created_ms FETCH FIRST ($3) ROWS WITH TIES)`;

/** $1 user, $2 behind this ms, $3 most, but for those of the same ms. */
const ORDERS: Statement = {
  name: "export_orders",
  text: `SELECT order_ref, peer, created_ms FROM (${ordersOf("user_a", "user_b")} UNION ${ordersOf("user_b", "user_a")}) o
          ORDER BY created_ms FETCH FIRST ($3) ROWS WITH TIES`,
};

/** $1 user, $2 behind this number, $3 most. */
const REPORTS: Statement = {
  name: "export_reports",
  text: `SELECT ${REPORT_COLUMNS} FROM report WHERE reporter = $1 AND number > $2 ORDER BY number LIMIT $3`,
};

/** {@link ExportStore} on PostgreSQL. */
export class PostgresExports implements ExportStore {
  readonly #pool: Pick<PostgresPool, "run">;

  constructor(pool: Pick<PostgresPool, "run">) {
    this.#pool = pool;
  }

  async conversation({ conversationId, afterSeq, limit, limitBytes }: ExportRequest): Promise<ExportPage | undefined> {
    const [head] = await this.#pool.run(HEAD, [conversationId]);
    if (!head || head[0] === null) return undefined;
    const rows = await this.#pool.run(MESSAGES, [conversationId, afterSeq, Math.max(1, limit), limitBytes]);
    return {
      ownerId: text(head, 0),
      pair: text(head, 1) === "" ? [] : [text(head, 1), text(head, 2)].sort(),
      isHeld: text(head, 3) === "t",
      lastSeq: number(head, 4),
      messages: rows.map((row) => toMessage(conversationId, row)),
    };
  }

  async orders({ userId, after, limit }: OwnRequest): Promise<ExportedOrder[]> {
    return (await this.#pool.run(ORDERS, [userId, after, Math.max(1, limit)])).map((row) => ({
      ...{ orderRef: text(row, 0), peerId: text(row, 1), createdMs: number(row, 2) },
    }));
  }

  async reports({ userId, after, limit }: OwnRequest): Promise<StoredReport[]> {
    return (await this.#pool.run(REPORTS, [userId, after, Math.max(1, limit)])).map(toReport);
  }
}

function toMessage(conversationId: string, row: Row): ExportedMessage {
  return {
    ...{ conversationId, convSeq: number(row, 0), messageId: text(row, 1), sender: text(row, 2) },
    ...{ clientMessageId: text(row, 3), contentType: text(row, 4), content: Buffer.from(text(row, 5), "hex") },
    ...{ sentAtMs: number(row, 6), onlyFor: text(row, 7) },
  };
}
