// SPDX-License-Identifier: Apache-2.0
import { CONTACTS_WINDOW, EXACT_UNREAD, MAX_LARGE, UNCOUNTED_TYPES, UNLISTED_TYPE } from "./conversation-store.ts";
import type { Statement } from "./postgres-pool.ts";
import { IS_FOR_USER, IS_OF_PAIR, SEEN_LAST_SEQ, subjectOf } from "./read-statements.ts";
import { EVENT_OVERHEAD_BYTES } from "./store.ts";

/** See conversation_change_v1 in migrations/: arrays of users, conversations, seqs and flags; -1 = leave it. A row for each. */
export const CHANGE_STATES: Statement = {
  name: "conversation_change",
  text: `SELECT outcome, peer, peer_version, read_seq, deleted_to_seq, pinned, archived, muted_until_ms, version
           FROM conversation_change_v1($1, $2, $3, $4, $5, $6, $7, $8)`,
};

/** SQL literals: none of the types has a quote. */
const UNLISTED = `'${UNLISTED_TYPE}'`;
const UNCOUNTED = UNCOUNTED_TYPES.map((type) => `'${type}'`).join(", ");

/** Is user `$1` a member of conversation `c`, and what it may see of a group begins behind this. */
const JOINED_SEQ = `CASE WHEN c.user_a IS NULL THEN (SELECT m.joined_seq FROM conversation_member m
                                           WHERE m.conversation_id = c.conversation_id AND m.user_id = $1)
                         WHEN ${IS_OF_PAIR} THEN 0 END`;

const SUBJECT = subjectOf("$1::text", 0);
const SUBJECT_ID = subjectOf("$1::text", 1);

/**
 * Conversations as their user sees them. `source` gives (position, conversation_id), and who is no member of one is not told of it.
 * $1 user, $2 most bytes of last events: what is beyond comes without. Columns of a contact:
 * position, conversation, last seq, peer, message id, sender, client message id, content type, content, time, unread, peer's read seq,
 * read seq, deleted to, pinned, archived, muted until, version, seq of the event, type and id of the subject. `header` is the first row: position NULL, and three numbers and the epoch.
 * `OFFSET 0`: what it follows is looked up once, though two columns are made of it.
 */
function contacts(name: string, source: string, header: string): Statement {
  return {
    name,
    text: `WITH src AS MATERIALIZED (${source}),
    own AS MATERIALIZED (
      SELECT src.position, c.conversation_id, ${SEEN_LAST_SEQ} AS last_seq, j.joined_seq, c.blockers IS NULL AS shows_reading,
             coalesce(CASE WHEN c.user_a <> $1 THEN c.user_a ELSE c.user_b END, '') AS peer_id,
             ${SUBJECT} AS subject_type, ${SUBJECT_ID} AS subject_id,
             coalesce(s.read_seq, 0) AS read_seq, coalesce(s.deleted_to_seq, 0) AS deleted_to_seq,
             coalesce(s.pinned, false) AS pinned, coalesce(s.archived, false) AS archived,
             coalesce(s.muted_until_ms, 0) AS muted_until_ms, coalesce(s.version, 0) AS version
        FROM src
       CROSS JOIN LATERAL (SELECT * FROM conversation c WHERE c.conversation_id = src.conversation_id LIMIT 1) c
       CROSS JOIN LATERAL (SELECT ${JOINED_SEQ} AS joined_seq) j
        LEFT JOIN LATERAL (SELECT * FROM conversation_state s
                            WHERE s.user_id = $1 AND s.conversation_id = c.conversation_id LIMIT 1) s ON true
       WHERE j.joined_seq IS NOT NULL),
    seen AS (
      SELECT own.*, greatest(own.read_seq, own.deleted_to_seq, own.joined_seq) AS floor_seq, e.*,
             CASE WHEN own.shows_reading THEN coalesce(p.read_seq, 0) ELSE 0 END AS peer_read_seq,
             sum(octet_length(e.content) + octet_length(e.sender) + octet_length(e.client_message_id) + octet_length(e.content_type)
                 + octet_length(own.conversation_id) + ${EVENT_OVERHEAD_BYTES})
               OVER (ORDER BY own.position DESC, own.conversation_id) AS total
        FROM own
        LEFT JOIN LATERAL (SELECT m.message_id, m.sender, m.client_message_id, m.content_type, m.content, m.created_ms, m.seq AS event_seq
                             FROM message m
                            WHERE m.conversation_id = own.conversation_id AND m.seq <= own.last_seq AND m.content_type <> ${UNLISTED} AND ${IS_FOR_USER}
                              AND m.seq > greatest(own.joined_seq, own.deleted_to_seq, own.last_seq - ${EXACT_UNREAD})
                            ORDER BY m.seq DESC LIMIT 1) e ON true
        LEFT JOIN LATERAL (SELECT s.read_seq FROM conversation_state s
                            WHERE s.user_id = own.peer_id AND s.conversation_id = own.conversation_id LIMIT 1) p ON true)
    ${header}
     UNION ALL
    SELECT seen.position, seen.conversation_id, seen.last_seq, seen.peer_id, seen.message_id, seen.sender, seen.client_message_id,
           seen.content_type, CASE WHEN seen.total <= $2 THEN seen.content END, seen.created_ms,
           seen.last_seq - r.read_to - (
             SELECT count(*) FROM message m
              WHERE m.conversation_id = seen.conversation_id AND (m.content_type IN (${UNCOUNTED}) OR NOT ${IS_FOR_USER})
                AND m.seq > greatest(r.read_to, seen.last_seq - ${EXACT_UNREAD}) AND m.seq <= seen.last_seq),
           seen.peer_read_seq, seen.read_seq, seen.deleted_to_seq, seen.pinned, seen.archived, seen.muted_until_ms, seen.version,
           seen.event_seq, seen.subject_type, seen.subject_id
      FROM seen
     CROSS JOIN LATERAL (
       SELECT greatest(seen.floor_seq, (
                SELECT m.seq FROM message m
                 WHERE m.conversation_id = seen.conversation_id AND m.sender = $1 AND m.content_type <> ${UNLISTED}
                   AND m.seq > greatest(seen.floor_seq, seen.last_seq - ${EXACT_UNREAD}) AND m.seq <= seen.last_seq
                 ORDER BY m.seq DESC LIMIT 1)) AS read_to OFFSET 0) r`,
  };
}

/** First row of an answer: where changes go on, the head of the inbox, the epoch, and what `position` says. */
const header = (position: string): string => `SELECT NULL::bigint, (SELECT inbox_epoch FROM store_meta)::text,
           coalesce((SELECT version FROM conversation_state_head WHERE user_id = $1), 0), NULL, NULL::uuid, NULL, NULL, NULL, NULL::bytea,
           coalesce((SELECT head FROM inbox_head WHERE user_id = $1), 0), ${position}, 0::bigint, 0::bigint, 0::bigint, false, false,
           0::bigint, 0::bigint, 0::bigint, NULL, NULL`;

/**
 * A pointer is the last one of its conversation when it points at the conversation's last message: everybody has each conversation at
 * one position, whatever came before it. $3 bound of the inbox seq (outside), $4 limit.
 */
function lastPointers(order: "ASC" | "DESC", where: string): string {
  return `SELECT w.seq AS position, w.conversation_id
            FROM (SELECT seq, conversation_id, conv_seq FROM inbox
                   WHERE user_id = $1 AND seq ${order === "DESC" ? "<" : ">"} $3 ORDER BY seq ${order} LIMIT ${CONTACTS_WINDOW}) w
           CROSS JOIN LATERAL (SELECT FROM conversation c
                                WHERE c.conversation_id = w.conversation_id AND w.conv_seq = ${SEEN_LAST_SEQ} LIMIT 1) c
            LEFT JOIN LATERAL (SELECT s.pinned, s.deleted_to_seq FROM conversation_state s
                                WHERE s.user_id = $1 AND s.conversation_id = w.conversation_id LIMIT 1) s ON true
           WHERE ${where} ORDER BY w.seq ${order} LIMIT $4`;
}

/** The last pointer that a page looks at, when it does not find enough: NULL when there are fewer. */
const windowEnd = (order: "ASC" | "DESC"): string =>
  `(SELECT seq FROM inbox WHERE user_id = $1 AND seq ${order === "DESC" ? "<" : ">"} $3
     ORDER BY seq ${order} OFFSET ${CONTACTS_WINDOW - 1} LIMIT 1)`;

/** $3 `before`, $4 limit. The header says where the next page begins; 0 = there is none. */
export const LIST_CONTACTS: Statement = contacts(
  "contacts_list",
  lastPointers("DESC", "NOT coalesce(s.pinned, false) AND w.conv_seq > coalesce(s.deleted_to_seq, 0)"),
  header(`CASE WHEN (SELECT count(*) FROM src) = $4::bigint THEN (SELECT min(position) FROM src)
               ELSE coalesce(${windowEnd("DESC")}, 0) END`),
);

/** Large groups of user `$1`, those joined last, but not what it has deleted up to the last message. */
const LARGE_GROUPS = `SELECT 0::bigint AS position, l.conversation_id
     FROM (SELECT m.conversation_id, c.last_seq FROM conversation_member m
            CROSS JOIN LATERAL (SELECT k.last_seq FROM conversation k
                                 WHERE k.conversation_id = m.conversation_id AND k.large_seq IS NOT NULL LIMIT 1) c
            WHERE m.user_id = $1 ORDER BY m.joined_at DESC LIMIT ${MAX_LARGE}) l
    WHERE l.last_seq > coalesce((SELECT s.deleted_to_seq FROM conversation_state s
                                  WHERE s.user_id = $1 AND s.conversation_id = l.conversation_id), 0)`;

/** $3 limit; with the large groups, which are in no inbox. */
export const PINNED_CONTACTS: Statement = contacts(
  "contacts_pinned",
  `(SELECT 0::bigint AS position, conversation_id FROM conversation_state WHERE user_id = $1 AND pinned ORDER BY conversation_id LIMIT $3)
    UNION (${LARGE_GROUPS})`,
  header("0::bigint"),
);

/** They are in no inbox. */
export const LARGE_CONTACTS: Statement = contacts("contacts_large", LARGE_GROUPS, header("0::bigint"));

/** $3 version, $4 limit. The header says how far it came. */
export const CHANGED_CONTACTS: Statement = contacts(
  "contacts_changed",
  `SELECT version AS position, conversation_id FROM conversation_state WHERE user_id = $1 AND version > $3 ORDER BY version LIMIT $4`,
  header("CASE WHEN (SELECT count(*) FROM src) = $4::bigint THEN (SELECT max(position) FROM src) ELSE 0 END"),
);

/** $3 inbox seq, $4 limit. The header says how far it came; 0 = to the head. */
export const ACTIVE_CONTACTS: Statement = contacts(
  "contacts_active",
  lastPointers("ASC", "true"),
  header(`CASE WHEN (SELECT count(*) FROM src) = $4::bigint THEN (SELECT max(position) FROM src)
               ELSE coalesce(${windowEnd("ASC")}, 0) END`),
);

/** $3 conversations. */
export const FIND_CONTACTS: Statement = contacts(
  "contacts_find",
  "SELECT 0::bigint AS position, u.id AS conversation_id FROM (SELECT DISTINCT unnest($3::text[]) AS id) u",
  header("0::bigint"),
);

/**
 * $1 users, $2 conversations, $3 limit. For each whose user is a member: its position from 1, and the members as JSON; of a pair of
 * whom one has blocked the other the user alone.
 */
export const MEMBERS: Statement = {
  name: "conversation_members",
  text: `SELECT a.i, CASE WHEN c.blockers IS NOT NULL THEN json_build_array(a.user_id)
                          WHEN c.user_a IS NOT NULL THEN json_build_array(c.user_a, c.user_b)
                          ELSE (SELECT json_agg(l.user_id) FROM (
                                  SELECT m.user_id FROM conversation_member m WHERE m.conversation_id = c.conversation_id
                                   ORDER BY m.user_id LIMIT $3) l) END
           FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS a(user_id, conversation_id, i)
          CROSS JOIN LATERAL (SELECT * FROM conversation c WHERE c.conversation_id = a.conversation_id LIMIT 1) c
          WHERE CASE WHEN c.user_a IS NOT NULL THEN a.user_id IN (c.user_a, c.user_b) AND c.last_seq > 0
                     ELSE EXISTS (SELECT FROM conversation_member m
                                   WHERE m.conversation_id = c.conversation_id AND m.user_id = a.user_id) END`,
};

/** $1 user, $2 conversation, $3 limit. No row: the user is no member. The first row is the user's own. */
export const RECEIPTS: Statement = {
  name: "conversation_receipts",
  text: `WITH c AS MATERIALIZED (
           SELECT c.* FROM conversation c WHERE c.conversation_id = $2 AND (${JOINED_SEQ}) IS NOT NULL),
         people AS (
           SELECT $1::text AS user_id, 0 AS place FROM c
            UNION ALL
           SELECT CASE WHEN c.user_a = $1 THEN c.user_b ELSE c.user_a END, 1 FROM c WHERE c.user_a <> c.user_b
            UNION ALL
           (SELECT m.user_id, 1 FROM c CROSS JOIN LATERAL (
              SELECT m.user_id FROM conversation_member m
               WHERE m.conversation_id = c.conversation_id AND m.user_id <> $1 ORDER BY m.user_id LIMIT $3) m
             WHERE c.user_a IS NULL))
         SELECT p.user_id, CASE WHEN p.place = 0 OR (SELECT blockers FROM c) IS NULL THEN coalesce(s.read_seq, 0) ELSE 0 END
           FROM people p
           LEFT JOIN LATERAL (SELECT s.read_seq FROM conversation_state s
                               WHERE s.user_id = p.user_id AND s.conversation_id = $2 LIMIT 1) s ON true
          ORDER BY p.place, p.user_id COLLATE "C"`,
};
