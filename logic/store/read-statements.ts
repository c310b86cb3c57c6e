// SPDX-License-Identifier: Apache-2.0
// Reads of messages. Each answers with a header row, which has no message id, and the messages behind it. The last column
// of a message is the bytes up to it: where they exceed the limit, the page ends before it (but is never empty).

import { FACT_CONVERSATIONS } from "./policy-store.ts";
import type { Statement } from "./postgres-pool.ts";
import { EVENT_OVERHEAD_BYTES } from "./store.ts";

/** SQL: what a user sees conversation `c` to be about, type (0) or id: what it alone has asked about, if that was the last. */
export const subjectOf = (userId: string, part: 0 | 1): string =>
  `coalesce(c.subject_only -> ${userId} ->> ${part}, c.${part === 0 ? "subject_type" : "subject_id"}, '')`;

const EVENT_COLUMNS = "message_id, sender, client_message_id, content_type, content, created_ms";
const BYTES = `octet_length(content) + octet_length(m.conversation_id) + octet_length(sender) + octet_length(client_message_id)
                 + octet_length(content_type) + ${EVENT_OVERHEAD_BYTES}`;

/**
 * The pointers of a page: $1 user, $2 cursor, $3 limit; too long a gap is more than $4 events, or more than $5 of which
 * the oldest is from before $6. Raw rows.
 * Header, without a time: head, epoch, is the gap too long. Pointers: inbox seq, conversation, conversation seq, time.
 */
export const READ_POINTERS: Statement = {
  name: "read_pointers",
  text: `WITH h AS MATERIALIZED (SELECT coalesce((SELECT head FROM inbox_head WHERE user_id = $1), 0) AS head),
              g AS MATERIALIZED (
                SELECT head, head - $2 > $4::bigint OR (head - $2 > $5::bigint AND
                         (SELECT created_ms FROM inbox WHERE user_id = $1 AND seq > $2 ORDER BY seq LIMIT 1) < $6::bigint)
                         AS is_too_long FROM h)
         SELECT head, (SELECT inbox_epoch FROM store_meta)::text, is_too_long::int::bigint, NULL::bigint FROM g
          UNION ALL
         (SELECT seq, conversation_id, conv_seq, created_ms FROM inbox
           WHERE user_id = $1 AND seq > $2 AND NOT (SELECT is_too_long FROM g) ORDER BY seq LIMIT $3)`,
};

/**
 * Messages by ranges of conversation seqs: $1 conversations, $2 first and $3 last seqs, $4 the numbers that the first ones
 * get; all from $5 to $6 by their time; contents of more than $7 bytes are left out. Raw rows, in any order.
 * Pointers of one conversation follow each other mostly: 700 events of 20 conversations take 20 lookups rather than 700,
 * which matters more the more partitions there are.
 */
export const READ_RANGES: Statement = {
  name: "read_ranges",
  text: `SELECT (r.number + m.seq - r.first)::int, message_id, sender, client_message_id, content_type,
                CASE WHEN octet_length(content) <= $7 THEN content END,
                CASE WHEN octet_length(content) > $7 THEN octet_length(content) END
           FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::int[]) AS r (conversation_id, first, last, number)
           JOIN message m ON m.conversation_id = r.conversation_id AND m.seq BETWEEN r.first AND r.last
                         AND m.created_ms BETWEEN $5 AND $6`,
};

/** Is message `m` there for user $1? */
export const IS_FOR_USER = "m.only_for IN ('', $1)";

/** Last seq of conversation `c` for user $1: nobody learns of what is for others alone. */
export const SEEN_LAST_SEQ = `CASE WHEN c.hidden_seq IS DISTINCT FROM c.last_seq THEN c.last_seq ELSE seen_last_seq_v1(c, $1) END`;

/** Is user $1 one of the pair of conversation `c`? It has none before the first message: a block alone makes the row. */
export const IS_OF_PAIR = "$1 IN (c.user_a, c.user_b) AND c.last_seq > 0";

/** The pair's conversation and those that it has about single things, whose ids begin with its own; '`' is the character behind '_'. */
export const ofPair = (id: string): string =>
  `(SELECT ${id} AS conversation_id UNION ALL
    (SELECT k.conversation_id FROM conversation k
      WHERE k.conversation_id >= ${id} || '_' AND k.conversation_id < ${id} || '\`'
      ORDER BY k.conversation_id LIMIT ${FACT_CONVERSATIONS}))`;

/** $1 user: what it deleted of a conversation is nowhere for it. */
const deletedTo = (conversation: string): string =>
  `coalesce((SELECT deleted_to_seq FROM conversation_state s WHERE s.user_id = $1 AND s.conversation_id = ${conversation}), 0)`;

/**
 * $1 user, $2 conversation, $3 lower and $4 upper bound of the conversation seq (both outside), $5 limit, $6 limit in
 * bytes. No row when the user is no member, or there is no such conversation.
 * Header: last seq, -, first seq that is still there.
 */
function readHistory(name: string, order: "ASC" | "DESC"): Statement {
  return {
    name,
    text: `WITH c AS MATERIALIZED (
                  SELECT last_seq, greatest(joined_seq, ${deletedTo("$2")}) AS joined_seq FROM (
                    SELECT ${SEEN_LAST_SEQ} AS last_seq,
                           CASE WHEN user_a IS NULL THEN (SELECT joined_seq FROM conversation_member m
                                                                     WHERE m.conversation_id = $2 AND m.user_id = $1)
                                          WHEN ${IS_OF_PAIR} THEN 0 END AS joined_seq
                      FROM conversation c WHERE conversation_id = $2) t
                   WHERE joined_seq IS NOT NULL),
                e AS (
                  SELECT conversation_id, seq, ${EVENT_COLUMNS}, ${BYTES} AS bytes FROM message m
                   WHERE conversation_id = $2 AND seq > greatest((SELECT joined_seq FROM c), $3::bigint) AND seq < $4::bigint
                     AND ${IS_FOR_USER} AND EXISTS (SELECT FROM c)
                   ORDER BY seq ${order} LIMIT $5),
                x AS (SELECT *, sum(bytes) OVER (ORDER BY seq ${order} ROWS UNBOUNDED PRECEDING) AS total FROM e)
           SELECT last_seq, NULL, (SELECT min(m.seq) FROM message m WHERE m.conversation_id = $2 AND m.seq > c.joined_seq AND ${IS_FOR_USER}),
                  NULL::uuid, NULL, NULL, NULL, NULL::bytea, NULL, NULL FROM c
            UNION ALL
           SELECT 0, conversation_id, seq, ${EVENT_COLUMNS}, total FROM x WHERE total - bytes <= $6`,
  };
}

export const READ_HISTORY_BACKWARD: Statement = readHistory("read_history_backward", "DESC");
export const READ_HISTORY_FORWARD: Statement = readHistory("read_history_forward", "ASC");

/**
 * $1 user, $2 upper bound of the inbox seq (outside), $3 pointers looked at, $4 limit, $5 limit in bytes.
 * Header: head, epoch, where the next page begins (0 = this was the last one).
 * A head whose message is gone has no message id, but a conversation.
 */
export const READ_HEADS: Statement = {
  name: "read_heads",
  text: `WITH w AS MATERIALIZED (
                SELECT seq, conversation_id, conv_seq, created_ms FROM inbox WHERE user_id = $1 AND seq < $2
                 ORDER BY seq DESC LIMIT $3),
              d AS (
                SELECT seq, conversation_id, conv_seq, created_ms, count(*) OVER () AS conversations
                  FROM (SELECT DISTINCT ON (conversation_id) * FROM w ORDER BY conversation_id, seq DESC) q
                 WHERE q.conv_seq > ${deletedTo("q.conversation_id")}
                 ORDER BY seq DESC LIMIT $4),
              m AS (
                SELECT d.seq AS inbox_seq, d.conversation_id, d.conv_seq, m.message_id, m.sender, m.client_message_id,
                       m.content_type, m.content, d.created_ms, d.conversations,
                       coalesce(octet_length(m.content) + octet_length(m.sender) + octet_length(m.client_message_id)
                         + octet_length(m.content_type), 0) + 2 * octet_length(d.conversation_id) + ${EVENT_OVERHEAD_BYTES}
                         AS bytes
                  FROM d LEFT JOIN message m ON m.conversation_id = d.conversation_id AND m.seq = d.conv_seq
                                            AND m.created_ms = d.created_ms),
              k AS MATERIALIZED (
                SELECT * FROM (SELECT *, sum(bytes) OVER v AS total, row_number() OVER v AS position
                                 FROM m WINDOW v AS (ORDER BY inbox_seq DESC)) x
                 WHERE total <= $5 OR position = 1),
              n AS MATERIALIZED (
                SELECT CASE WHEN (SELECT count(*) < max(conversations) FROM k) THEN (SELECT min(inbox_seq) FROM k)
                            ELSE coalesce((SELECT min(seq) FROM w), 0) END AS before),
              u AS MATERIALIZED (
                SELECT conversation_id, count(*) AS unread FROM w
                 WHERE seq >= (SELECT before FROM n)
                   AND seq > coalesce((SELECT max(acked_seq) FROM device WHERE user_id = $1), 0)
                 GROUP BY conversation_id)
         SELECT coalesce((SELECT head FROM inbox_head WHERE user_id = $1), 0), (SELECT inbox_epoch FROM store_meta)::text,
                CASE WHEN EXISTS (SELECT FROM inbox WHERE user_id = $1 AND seq < n.before) THEN n.before ELSE 0 END,
                NULL::uuid, NULL, NULL, NULL, NULL::bytea, NULL, NULL FROM n
          UNION ALL
         SELECT inbox_seq, conversation_id, conv_seq, ${EVENT_COLUMNS},
                coalesce((SELECT unread FROM u WHERE u.conversation_id = k.conversation_id), 0) FROM k`,
};
