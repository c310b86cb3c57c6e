// SPDX-License-Identifier: Apache-2.0
import type { Statement } from "./postgres-pool.ts";
import { ofPair } from "./read-statements.ts";
import { SHARED_GROUPS, SPOKEN_MESSAGES } from "./store.ts";

/**
 * See append_v1 in migrations/; $21 recipients, $22 their inboxes, $23 how far below the head their last message is; $24
 * the inbox epoch that the numbers are to be of, or null.
 */
const APPEND_V1 =
  "append_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)";
const SAME_EPOCH = "store_meta WHERE inbox_epoch = coalesce($24::uuid, inbox_epoch)";
/** Of what appends by `stored`: who must be pushed to. */
export const OUTBOX = `outbox AS (
           INSERT INTO push_outbox (user_ids, seqs)
           SELECT $21::text[],
                  ARRAY(SELECT (stored.r).heads[u.i] + u.back FROM unnest($22::int[], $23::int[]) AS u(i, back))
             FROM stored WHERE cardinality($21::text[]) > 0
         )`;

/** No row: the database is of another epoch, and nothing was stored. */
export const APPEND: Statement = {
  name: "append",
  text: `WITH stored AS MATERIALIZED (SELECT ${APPEND_V1} AS r FROM ${SAME_EPOCH}), ${OUTBOX}
         SELECT (r).last_seqs, (r).heads FROM stored`,
};

/** The same, if groups ($25) are still at the versions ($26) that their members were read at; fails with IM001 otherwise. */
export const APPEND_TO_GROUPS: Statement = {
  name: "append_to_groups",
  text: `WITH locked AS MATERIALIZED (SELECT ${APPEND_V1} AS r FROM ${SAME_EPOCH}),
              stored AS MATERIALIZED (SELECT r, require_group_versions_v1($25::text[], $26::bigint[]) FROM locked), ${OUTBOX}
         SELECT (r).last_seqs, (r).heads FROM stored`,
};

/**
 * The same (none of the groups need be there), with cards and with messages that only their senders see: $27 the cards' conversations, $28 and $29 index and distance to the counters of
 * those, $30 what they show, $31 versions, $32 times; $33 and $34 index and distance of the hidden ones, $35 times, $36 senders; $37 conversations that say what they are about, $38 types, $39 ids, $40 who
 * alone sees it ("" = both).
 * The newest card that shows a thing is the one that its updates change.
 */
export const APPEND_MARKED: Statement = {
  name: "append_marked",
  text: `WITH locked AS MATERIALIZED (SELECT ${APPEND_V1} AS r FROM ${SAME_EPOCH}),
              stored AS MATERIALIZED (
           SELECT r, require_group_versions_v1($25::text[], $26::bigint[]),
                  hide_appended_v1($1::text[], (r).last_seqs, $33::int[], $34::int[], $35::bigint[], $36::text[]),
                  note_subjects_v1($37::text[], $38::text[], $39::text[], $40::text[]) FROM locked),
              ${OUTBOX},
              cards AS (
           INSERT INTO card_ref (conversation_id, ref, seq, created_ms, version)
           SELECT u.id, u.ref, (stored.r).last_seqs[u.i] + u.back, u.ms, u.version
             FROM stored, unnest($27::text[], $28::int[], $29::int[], $30::text[], $31::bigint[], $32::bigint[])
                          AS u(id, i, back, ref, version, ms)
           ON CONFLICT (conversation_id, ref) DO UPDATE
              SET seq = excluded.seq, created_ms = excluded.created_ms, version = excluded.version
         )
         SELECT (r).last_seqs, (r).heads FROM stored`,
};

/**
 * See bind_conversations_v2 in migrations/: conversations about something, their pairs' ones, both users, types, ids, and how many the
 * pair may have. A row for each that was not made.
 */
export const BIND: Statement = {
  name: "bind_conversations_v2",
  text: "SELECT unmade FROM unnest(bind_conversations_v2($1, $2, $3, $4, $5, $6, $7)) AS unmade",
};

/**
 * The same, when a condition holds that is evaluated before, in the same transaction. Third column: did it? No row: the database is of
 * another epoch, and neither was done.
 */
export function appendingAfter(condition: string): string {
  return `WITH met AS MATERIALIZED (SELECT ${condition} AS is_met FROM ${SAME_EPOCH}),
               stored AS MATERIALIZED (SELECT ${APPEND_V1} AS r FROM met WHERE is_met), ${OUTBOX}
          SELECT (r).last_seqs, (r).heads, is_met FROM met LEFT JOIN stored ON true`;
}

/**
 * $1 senders, $2 client ids, $3 hashes, $4 conversations whose members, and who of a pair has blocked the other, are wanted (or
 * null; of a large group those of the senders), $5 inbox epoch that the seqs are to be of, or null. No row: the database is of another one.
 */
export const APPEND_LOOKUP: Statement = {
  name: "append_lookup",
  text: `SELECT (SELECT json_agg(json_build_array(u.i, k.payload_hash = u.hash, k.message_id, k.conversation_id, k.conv_seq,
                                   k.created_ms, k.sender_inbox_seq))
                   FROM unnest($1::text[], $2::text[], $3::bytea[]) WITH ORDINALITY AS u(sender, client_id, hash, i)
                  CROSS JOIN LATERAL (
                          SELECT * FROM idempotency k WHERE k.sender = u.sender AND k.client_message_id = u.client_id
                          LIMIT 1) k),
                (SELECT json_agg(json_build_array(u.id, CASE WHEN c.user_a = c.user_b THEN ARRAY[c.user_a]
                                   WHEN c.user_a IS NOT NULL THEN ARRAY[c.user_a, c.user_b]
                                   WHEN c.large_seq IS NOT NULL THEN
                                     ARRAY(SELECT m.user_id FROM conversation_member m
                                            WHERE m.conversation_id = u.id AND m.user_id = ANY ($1::text[]))
                                   ELSE ARRAY(SELECT m.user_id FROM conversation_member m
                                               WHERE m.conversation_id = u.id) END,
                                   CASE WHEN c.user_a IS NULL OR c.blockers IS NOT NULL THEN c.group_version END,
                                   c.blockers, c.user_a IS NOT NULL, c.last_seq, c.large_seq IS NOT NULL))
                   FROM (SELECT DISTINCT id FROM unnest($4::text[]) AS id WHERE id IS NOT NULL) u
                  CROSS JOIN LATERAL (SELECT * FROM conversation c WHERE c.conversation_id = u.id LIMIT 1) c)
           FROM store_meta WHERE inbox_epoch = coalesce($5::uuid, inbox_epoch)`,
};

/** First row: the inbox epoch. */
export const INBOX_HEADS: Statement = {
  name: "inbox_heads",
  text: `SELECT inbox_epoch::text, 0 FROM store_meta
          UNION ALL
         SELECT user_id, head FROM inbox_head WHERE user_id = ANY ($1::text[])`,
};

/**
 * $1 users, $2 devices, $3 positions, each device once, $4 the inbox epoch that they are of, or null. Rows are locked in the
 * order given, which is the same in every process. Answers whether the database is of that epoch; else nothing is moved.
 */
export const ADVANCE_ACKS: Statement = {
  name: "advance_acks",
  text: `WITH meta AS MATERIALIZED (
           SELECT inbox_epoch = coalesce($4::uuid, inbox_epoch) AS is_same FROM store_meta
         ), moved AS (
           UPDATE device d SET acked_seq = least(a.seq, h.head), last_seen = now()
             FROM (SELECT unnest($1::text[]) AS user_id, unnest($2::text[]) AS device_id, unnest($3::bigint[]) AS seq) a
             JOIN inbox_head h ON h.user_id = a.user_id
            WHERE d.user_id = a.user_id AND d.device_id = a.device_id AND d.acked_seq < least(a.seq, h.head)
              AND (SELECT is_same FROM meta)
         )
         SELECT is_same FROM meta`,
};

/**
 * $1 user, $2 peers, $3 their one-to-one conversations with the user. In most of them one of the first rows is the peer's. Whether a peer is
 * in a group is asked of the key: with LIMIT, the planner cannot read whole groups, which may be large. Into a group that users made
 * anybody may be put, so there only those count who have written. Of a pair of whom one has blocked the other neither sees the other.
 */
export const VISIBLE_PEERS: Statement = {
  name: "visible_peers",
  text: `WITH mine AS MATERIALIZED (
           SELECT o.conversation_id,
                  EXISTS (SELECT FROM conversation_group g WHERE g.conversation_id = o.conversation_id) AS is_of_users
             FROM (SELECT conversation_id FROM conversation_member WHERE user_id = $1
                    ORDER BY joined_at DESC LIMIT ${SHARED_GROUPS}) o
         ), spoke AS MATERIALIZED (
           SELECT DISTINCT g.conversation_id, s.sender
             FROM mine g
            CROSS JOIN LATERAL (SELECT m.sender, m.only_for FROM message m WHERE m.conversation_id = g.conversation_id
                                 ORDER BY m.seq DESC LIMIT ${SPOKEN_MESSAGES}) s
            WHERE g.is_of_users AND s.only_for = ''
         )
         SELECT p.peer_id
           FROM unnest($2::text[], $3::text[]) AS p(peer_id, conversation_id)
          WHERE (SELECT c.blockers FROM conversation c WHERE c.conversation_id = p.conversation_id) IS NULL
            AND (EXISTS (SELECT FROM ${ofPair("p.conversation_id")} k
                         CROSS JOIN LATERAL (SELECT m.sender, m.only_for FROM message m WHERE m.conversation_id = k.conversation_id
                                              ORDER BY m.seq DESC LIMIT ${SPOKEN_MESSAGES}) s WHERE s.sender = p.peer_id AND s.only_for = '')
             OR EXISTS (SELECT FROM (SELECT g.conversation_id FROM mine g WHERE NOT g.is_of_users
                                      UNION ALL
                                     SELECT s.conversation_id FROM spoke s WHERE s.sender = p.peer_id) g
                         CROSS JOIN LATERAL (SELECT FROM conversation_member o
                                              WHERE o.conversation_id = g.conversation_id AND o.user_id = p.peer_id LIMIT 1) m))`,
};

export const PUSH_TARGETS: Statement = {
  name: "push_targets",
  text: `SELECT user_id, device_id, split_part(slot, '#', 1), platform, acked_seq, push_provider, push_token
           FROM device WHERE user_id = ANY ($1::text[]) ORDER BY user_id, device_id`,
};

/** Locks the conversation: what a new member may read begins behind its last message. */
export const CREATE_CONVERSATION: Statement = {
  name: "create_conversation",
  text: `WITH locked AS (
           INSERT INTO conversation AS c (conversation_id, last_seq) VALUES ($1, 0)
           ON CONFLICT (conversation_id) DO UPDATE SET group_version = c.group_version + 1
           RETURNING last_seq
         )
         INSERT INTO conversation_member (conversation_id, user_id, joined_seq)
         SELECT $1, u.user_id, l.last_seq FROM unnest($2::text[]) AS u(user_id), locked l ORDER BY u.user_id COLLATE "C"
         ON CONFLICT DO NOTHING`,
};

/** $1 pod uid, $2 pod name, $3 version. */
export const REGISTER_ENTRY: Statement = {
  name: "register_entry",
  text: `INSERT INTO entry (incarnation, pod_uid, pod_name, version)
         VALUES ($1::text || '.' || nextval('entry_number'), $1, $2, $3) RETURNING incarnation`,
};

export const ENTRY_STATE: Statement = {
  name: "entry_state",
  text: "SELECT dead FROM entry WHERE incarnation = $1",
};

export const FENCE_ENTRIES: Statement = {
  name: "fence_entries",
  text: `UPDATE entry SET dead = true, fenced_at = coalesce(fenced_at, now()) WHERE pod_uid = $1 RETURNING incarnation`,
};

export const FENCE_INCARNATION: Statement = {
  name: "fence_incarnation",
  text: "UPDATE entry SET dead = true, fenced_at = now() WHERE incarnation = $1 AND NOT dead",
};

export const ENTRY_STARTS: Statement = {
  name: "entry_starts",
  text: `SELECT incarnation, pod_uid, dead, extract(epoch FROM now() - registered_at) * 1000
           FROM entry
          WHERE incarnation > $1 AND (fenced_at IS NULL OR fenced_at > now() - $2 * interval '1 millisecond')
          ORDER BY incarnation LIMIT $3`,
};

/** A row per entry start: some thousands, and it runs when a pod died. A pod is dead when its last start is. */
export const ENTRY_DEATHS: Statement = {
  name: "entry_deaths",
  text: `SELECT count(*) FILTER (WHERE NOT dead OR is_recent),
                count(*) FILTER (WHERE dead AND is_recent AND pod_uid <> $1),
                coalesce(bool_or(dead) FILTER (WHERE pod_uid = $1), false)
           FROM (SELECT pod_uid, bool_and(dead) AS dead,
                        coalesce(max(fenced_at) > now() - $2 * interval '1 millisecond', false) AS is_recent
                   FROM entry GROUP BY pod_uid) AS pods`,
};

export const PING: Statement = {
  name: "ping",
  text: `SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean,
                (SELECT inbox_epoch FROM store_meta)`,
};

export const CHANGE_EPOCH: Statement = {
  name: "change_epoch",
  text: "UPDATE store_meta SET inbox_epoch = $1::uuid",
};

export const READ_EPOCH: Statement = {
  name: "read_epoch",
  text: "SELECT inbox_epoch FROM store_meta",
};
