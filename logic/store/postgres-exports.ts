// SPDX-License-Identifier: Apache-2.0
import type { ExportedMessage, ExportPage, ExportRequest, ExportStore } from "./exports.ts";
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
}

function toMessage(conversationId: string, row: Row): ExportedMessage {
  return {
    ...{ conversationId, convSeq: number(row, 0), messageId: text(row, 1), sender: text(row, 2) },
    ...{ clientMessageId: text(row, 3), contentType: text(row, 4), content: Buffer.from(text(row, 5), "hex") },
    ...{ sentAtMs: number(row, 6), onlyFor: text(row, 7) },
  };
}
