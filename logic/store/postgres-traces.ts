// SPDX-License-Identifier: Apache-2.0
import { textArray } from "./binary-array.ts";
import {
  MAX_TRACED,
  type MessageTraces,
  type StoredTrace,
  sentWindow,
  TRACE_WINDOW,
  type TracedMessage,
  type TracedRecipient,
  type TracedStep,
  tracedOf,
} from "./message-traces.ts";
import type { PostgresPool, Row, Statement } from "./postgres-pool.ts";
import { number, text } from "./rows.ts";

const MAX_STEPS = 500;

/** $1 sender, $2 client message id. */
const FIND_SENT: Statement = {
  name: "trace_sent",
  text: `SELECT message_id, conversation_id, conv_seq, created_ms FROM idempotency
          WHERE sender = $1 AND client_message_id = $2`,
};

/** $1 user, $2 message id, $3 and $4 when it was sent, $5 how many pointers to look at. */
const FIND_RECEIVED: Statement = {
  name: "trace_received",
  text: `SELECT m.message_id, i.conversation_id, i.conv_seq, i.created_ms
           FROM (SELECT conversation_id, conv_seq, created_ms FROM inbox WHERE user_id = $1 ORDER BY seq DESC LIMIT $5) i
           JOIN message m ON m.conversation_id = i.conversation_id AND m.seq = i.conv_seq AND m.created_ms = i.created_ms
          WHERE i.created_ms BETWEEN $3 AND $4 AND m.message_id = $2::uuid
          LIMIT 1`,
};

/** $1 conversation, $2 seq, $3 when it was sent. */
const READ_MESSAGE: Statement = {
  name: "trace_message",
  text: `SELECT sender, client_message_id, content_type, octet_length(content) FROM message
          WHERE conversation_id = $1 AND seq = $2 AND created_ms = $3`,
};

/** $1 conversation, $2 seq, $3 most. Of a group, who had joined by then. */
const READ_PEOPLE: Statement = {
  name: "trace_people",
  text: `(SELECT u.user_id FROM conversation c, LATERAL (VALUES (c.user_a), (c.user_b)) AS u(user_id)
           WHERE c.conversation_id = $1 AND u.user_id IS NOT NULL)
         UNION
         (SELECT user_id FROM conversation_member WHERE conversation_id = $1 AND joined_seq < $2
           ORDER BY user_id LIMIT $3)`,
};

/** $1 users, $2 conversation, $3 seq, $4 how many pointers of each to look at. */
const READ_POINTERS: Statement = {
  name: "trace_pointers",
  text: `SELECT u.user_id, coalesce(p.seq, 0), coalesce(h.head, 0), coalesce(k.seq, 0)
           FROM unnest($1::text[]) AS u(user_id)
           LEFT JOIN LATERAL (
             SELECT i.seq FROM (SELECT seq, conversation_id, conv_seq FROM inbox
                                 WHERE user_id = u.user_id ORDER BY seq DESC LIMIT $4) i
              WHERE i.conversation_id = $2 AND i.conv_seq = $3 LIMIT 1
           ) p ON true
           LEFT JOIN inbox_head h ON h.user_id = u.user_id
           LEFT JOIN push_mark k ON k.user_id = u.user_id`,
};

/** $1 users, $2 conversation, $3 most. */
const READ_STEPS: Statement = {
  name: "trace_steps",
  text: `SELECT user_id, channel, attempts, due_ms, first_seq, last_seq FROM push_step
          WHERE user_id = ANY ($1::text[]) AND conversation_id = $2 ORDER BY due_ms LIMIT $3`,
};

/** {@link MessageTraces} on PostgreSQL: lookups by key and bounded scans of inboxes, one after the other. */
export class PostgresTraces implements MessageTraces {
  readonly #pool: PostgresPool;

  constructor(pool: PostgresPool) {
    this.#pool = pool;
  }

  async find(userId: string, message: string): Promise<StoredTrace | undefined> {
    const found = (await this.#pool.run(FIND_SENT, [userId, message]))[0] ?? (await this.#received(userId, message));
    if (!found) return undefined;
    const [messageId, conversationId, convSeq, sentAtMs] = [
      text(found, 0),
      text(found, 1),
      number(found, 2),
      number(found, 3),
    ];
    const [stored] = await this.#pool.run(READ_MESSAGE, [conversationId, convSeq, sentAtMs]);
    const people = await this.#pool.run(READ_PEOPLE, [conversationId, convSeq, MAX_TRACED + 1]);
    const { traced, hasMore } = tracedOf(
      people.map((row) => text(row, 0)),
      userId,
    );
    return {
      ...{ messageId, conversationId, convSeq, sentAtMs },
      message: stored && toMessage(stored),
      recipients: await this.#recipients(traced, conversationId, convSeq),
      hasMore,
    };
  }

  async #received(userId: string, message: string): Promise<Row | undefined> {
    const window = sentWindow(message);
    if (!window) return undefined;
    const values = [userId, message, window.fromMs, window.toMs, TRACE_WINDOW];
    return (await this.#pool.run(FIND_RECEIVED, values))[0];
  }

  async #recipients(userIds: readonly string[], conversationId: string, convSeq: number): Promise<TracedRecipient[]> {
    const users = textArray(userIds);
    const pointers = await this.#pool.run(READ_POINTERS, [users, conversationId, convSeq, TRACE_WINDOW]);
    const steps = await this.#pool.run(READ_STEPS, [users, conversationId, MAX_STEPS]);
    const recipients = pointers.map((row) => {
      const [userId, inboxSeq] = [text(row, 0), number(row, 1)];
      const own = steps.filter((step) => text(step, 0) === userId && isAbout(step, inboxSeq)).map(toStep);
      return { userId, inboxSeq, head: number(row, 2), pushedSeq: number(row, 3), steps: own };
    });
    return recipients.sort((a, b) => (a.userId < b.userId ? -1 : 1));
  }
}

function toMessage(row: Row): TracedMessage {
  return {
    sender: text(row, 0),
    clientMessageId: text(row, 1),
    contentType: text(row, 2),
    contentBytes: number(row, 3),
  };
}

function isAbout(step: Row, inboxSeq: number): boolean {
  return inboxSeq >= number(step, 4) && inboxSeq <= number(step, 5);
}

function toStep(row: Row): TracedStep {
  return { channel: text(row, 1), attempts: number(row, 2), dueMs: number(row, 3) };
}
