// SPDX-License-Identifier: Apache-2.0
import type { Statement } from "./postgres-pool.ts";
import { appendingAfter } from "./statements.ts";

/**
 * $1 actor, $2 request id, $3 hash, $4 group, $5 whom it is about. One row: what the key belongs to; then version, name and members of
 * the group, how many they are, and whether it is large, or NULLs. Of a large one some members are looked at. A stranger's question costs the same whether there is such a group or not: one lookup of the membership that misses.
 */
export const LOOK_AT_GROUP: Statement = {
  name: "look_at_group",
  text: `SELECT (SELECT json_build_array(k.payload_hash = $3::bytea, k.message_id, k.conversation_id, k.conv_seq,
                          (SELECT encode(m.content, 'hex') FROM message m
                            WHERE m.conversation_id = k.conversation_id AND m.seq = k.conv_seq AND m.created_ms = k.created_ms))
                   FROM idempotency k WHERE k.sender = $1 AND k.client_message_id = $2),
                s.group_version, s.name, s.members, s.member_count, s.is_large
           FROM (SELECT) one
           LEFT JOIN LATERAL (
                  SELECT c.group_version, g.name, g.member_count, c.large_seq IS NOT NULL AS is_large,
                         CASE WHEN c.large_seq IS NULL THEN
                           (SELECT json_agg(json_build_array(m.user_id, m.role)) FROM conversation_member m
                             WHERE m.conversation_id = o.conversation_id)
                         ELSE (SELECT json_agg(json_build_array(l.user_id, l.role)) FROM (
                             SELECT m.user_id, m.role FROM conversation_member m
                              WHERE m.conversation_id = o.conversation_id AND m.user_id = ANY (array_append($5::text[], $1))
                              UNION
                             SELECT m.user_id, m.role FROM conversation_member m
                              WHERE m.conversation_id = o.conversation_id AND m.role <> 'member'
                              UNION
                            (SELECT m.user_id, m.role FROM conversation_member m
                              WHERE m.conversation_id = o.conversation_id ORDER BY m.user_id LIMIT 2)) l) END AS members
                    FROM conversation_member o
                   CROSS JOIN LATERAL (SELECT * FROM conversation_group g WHERE g.conversation_id = o.conversation_id LIMIT 1) g
                   CROSS JOIN LATERAL (SELECT * FROM conversation c WHERE c.conversation_id = o.conversation_id LIMIT 1) c
                   WHERE o.conversation_id = $4 AND o.user_id = $1) s ON true`,
};

/**
 * As an append; behind its values $25 group, $26 version, $27 name or null, $28 from the start?, $29 when, $30 who is removed, $31 who
 * joins or gets another role, $32 the roles. Third column: was it at that version? Otherwise nothing was changed.
 */
export const CHANGE_GROUP: Statement = {
  name: "change_group",
  text: appendingAfter("change_group_v1($25, $26, $27, $28, $29, $30, $31, $32)"),
};

/** As {@link CHANGE_GROUP}, and the group is large from the event on. */
export const CHANGE_AND_GROW: Statement = {
  name: "change_and_grow",
  text: appendingAfter(
    "CASE WHEN change_group_v1($25, $26, $27, $28, $29, $30, $31, $32) THEN grow_group_v1($25) ELSE false END",
  ),
};

/** $1 group. */
export const AUDIENCE: Statement = {
  name: "group_audience",
  text: `SELECT c.group_version, (SELECT json_agg(json_build_array(m.user_id, m.joined_seq)) FROM conversation_member m
                                   WHERE m.conversation_id = c.conversation_id)
           FROM conversation c WHERE c.conversation_id = $1`,
};

/** $1 sender, $2 client id, $3 hash, $4 message id, $5 conversation, $6 when. No row: the key was there before. */
export const NOTE_UNCHANGED: Statement = {
  name: "note_unchanged",
  text: `INSERT INTO idempotency (sender, client_message_id, payload_hash, message_id, conversation_id, conv_seq,
                                  sender_inbox_seq, created_ms)
         VALUES ($1, $2, $3::bytea, $4, $5, 0, 0, $6) ON CONFLICT DO NOTHING RETURNING 1`,
};

const SUMMARY =
  "o.conversation_id, g.name, c.group_version, g.member_count, o.role, g.from_start, c.last_seq, c.large_seq IS NOT NULL";
const OF_MEMBER = `FROM conversation_member o
          CROSS JOIN LATERAL (SELECT * FROM conversation_group g WHERE g.conversation_id = o.conversation_id LIMIT 1) g
          CROSS JOIN LATERAL (SELECT * FROM conversation c WHERE c.conversation_id = o.conversation_id LIMIT 1) c`;

/** $1 user, $2 group, $3 only members above, $4 limit. No row: there is no such group, or the user is not in it. */
export const DESCRIBE_GROUP: Statement = {
  name: "describe_group",
  text: `SELECT ${SUMMARY},
                (SELECT coalesce(json_agg(json_build_array(p.user_id, p.role)), '[]')
                   FROM (SELECT m.user_id, m.role FROM conversation_member m
                          WHERE m.conversation_id = o.conversation_id AND m.user_id > $3 ORDER BY m.user_id LIMIT $4) p)
           ${OF_MEMBER}
          WHERE o.conversation_id = $2 AND o.user_id = $1`,
};

/** $1 user, $2 only groups above, $3 limit. */
export const GROUPS_OF: Statement = {
  name: "groups_of",
  text: `SELECT ${SUMMARY} ${OF_MEMBER}
          WHERE o.user_id = $1 AND o.conversation_id > $2 ORDER BY o.conversation_id LIMIT $3`,
};
