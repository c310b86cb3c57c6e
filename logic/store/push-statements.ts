// SPDX-License-Identifier: Apache-2.0
import type { Statement } from "./postgres-pool.ts";
import { subjectOf } from "./read-statements.ts";

const STEP_COLUMNS = `user_id, conversation_id, channel, device_id, alone_seq, first_seq, last_seq, attempts, reached,
                created_ms, due_ms, leased`;
const STEP_RECORD = `(user_id text, conversation_id text, channel text, device_id text, alone_seq bigint,
                first_seq bigint, last_seq bigint, attempts int, reached boolean, created_ms bigint, due_ms bigint,
                leased boolean)`;

/** The time of the server, which is one for all callers: ms since the epoch. */
const NOW_MS = "(extract(epoch FROM now()) * 1000)::bigint";

/** $1 JSON array of contacts. */
export const SAVE_CONTACTS: Statement = {
  name: "push_save_contacts",
  text: `INSERT INTO push_contact (user_id, phone, wechat, time_zone)
         SELECT user_id, phone, wechat, time_zone
           FROM json_to_recordset($1::json) AS c(user_id text, phone text, wechat text, time_zone text)
          ORDER BY user_id COLLATE "C"
         ON CONFLICT (user_id) DO UPDATE
            SET phone = excluded.phone, wechat = excluded.wechat, time_zone = excluded.time_zone, updated_at = now(),
                invalid_at = NULL`,
};

export const READ_CONTACTS: Statement = {
  name: "push_read_contacts",
  text: `SELECT user_id, phone, wechat, time_zone FROM push_contact WHERE user_id = ANY ($1::text[])`,
};

/** SQL: did this user mute this conversation? Then nothing of it is pushed. */
export const isMuted = (userId: string, conversationId: string): string =>
  `EXISTS (SELECT FROM conversation_state s WHERE s.user_id = ${userId} AND s.conversation_id = ${conversationId}
              AND s.muted_until_ms > ${NOW_MS})`;

/** $1 users, $2 inbox seqs. A row for each, with the head; the message is NULL where there is none (any more). */
export const READ_SUBJECTS: Statement = {
  name: "push_read_subjects",
  text: `SELECT w.user_id, w.seq, coalesce((SELECT head FROM inbox_head h WHERE h.user_id = w.user_id), 0),
                m.message_id, i.conversation_id, m.sender, m.content_type, i.created_ms,
                ${isMuted("w.user_id", "i.conversation_id")},
                ${subjectOf("w.user_id", 0)}, ${subjectOf("w.user_id", 1)}
           FROM unnest($1::text[], $2::bigint[]) AS w(user_id, seq)
           LEFT JOIN LATERAL (SELECT conversation_id, conv_seq, created_ms FROM inbox
                               WHERE user_id = w.user_id AND seq = w.seq LIMIT 1) i ON true
           LEFT JOIN LATERAL (SELECT message_id, sender, content_type FROM message
                               WHERE conversation_id = i.conversation_id AND seq = i.conv_seq
                                 AND created_ms = i.created_ms LIMIT 1) m ON true
           LEFT JOIN conversation c ON c.conversation_id = i.conversation_id`,
};

/** $1 JSON array of steps, each identity once; see mergeStep. */
export const SAVE_STEPS: Statement = {
  name: "push_save_steps",
  text: `INSERT INTO push_step AS s (${STEP_COLUMNS})
         SELECT ${STEP_COLUMNS} FROM json_to_recordset($1::json) AS r ${STEP_RECORD}
          ORDER BY user_id COLLATE "C", conversation_id COLLATE "C", channel COLLATE "C", device_id COLLATE "C", alone_seq
         ON CONFLICT (user_id, conversation_id, channel, device_id, alone_seq) DO UPDATE
            SET first_seq = least(s.first_seq, excluded.first_seq), last_seq = greatest(s.last_seq, excluded.last_seq),
                reached = s.reached OR excluded.reached, created_ms = least(s.created_ms, excluded.created_ms),
                due_ms = CASE WHEN s.leased THEN s.due_ms WHEN excluded.leased THEN excluded.due_ms
                              ELSE least(s.due_ms, excluded.due_ms) END,
                leased = s.leased OR excluded.leased`,
};

/** $1 lease in ms, $2 limit. The first column of each row is the time; without a step there is one row with nothing else. */
export const CLAIM_STEPS: Statement = {
  name: "push_claim_steps",
  text: `WITH due AS (
           SELECT user_id, conversation_id, channel, device_id, alone_seq
             FROM push_step WHERE due_ms <= ${NOW_MS} ORDER BY due_ms LIMIT $2::int FOR UPDATE SKIP LOCKED
         ), claimed AS (
           UPDATE push_step s SET due_ms = ${NOW_MS} + $1::bigint, leased = true
             FROM due d
            WHERE s.user_id = d.user_id AND s.conversation_id = d.conversation_id AND s.channel = d.channel
              AND s.device_id = d.device_id AND s.alone_seq = d.alone_seq
           RETURNING s.user_id, s.conversation_id, s.channel, s.device_id, s.alone_seq, s.first_seq, s.last_seq,
                     s.attempts, s.reached, s.created_ms, s.due_ms, s.leased
         )
         SELECT t.now_ms, c.* FROM (SELECT ${NOW_MS} AS now_ms) t LEFT JOIN claimed c ON true`,
};

/** $1 JSON array of leases, `at` their place in it; $2 new end. Returns the places of those that were renewed. */
export const RENEW_STEPS: Statement = {
  name: "push_renew_steps",
  text: `WITH held AS (
           SELECT s.user_id, s.conversation_id, s.channel, s.device_id, s.alone_seq, r.at
             FROM json_to_recordset($1::json) AS r(at int, user_id text, conversation_id text, channel text,
                  device_id text, alone_seq bigint, ends_ms bigint[])
             JOIN push_step s ON s.user_id = r.user_id AND s.conversation_id = r.conversation_id AND s.channel = r.channel
                             AND s.device_id = r.device_id AND s.alone_seq = r.alone_seq
            WHERE s.leased AND s.due_ms = ANY (r.ends_ms)
            ORDER BY s.user_id, s.conversation_id, s.channel, s.device_id, s.alone_seq
              FOR UPDATE OF s
         )
         UPDATE push_step s SET due_ms = $2::bigint
           FROM held h
          WHERE s.user_id = h.user_id AND s.conversation_id = h.conversation_id AND s.channel = h.channel
            AND s.device_id = h.device_id AND s.alone_seq = h.alone_seq
         RETURNING h.at`,
};

const SETTLED_RECORD = `(user_id text, conversation_id text, channel text, device_id text, alone_seq bigint, last_seq bigint,
                ends_ms bigint[], is_over boolean, due_ms bigint, attempts int, first_seq bigint, reached boolean)`;

/** $1 JSON array of settled steps. A row that grew since it was taken stays, due at once. */
export const SETTLE_STEPS: Statement = {
  name: "push_settle_steps",
  text: `WITH settled AS (
           SELECT * FROM json_to_recordset($1::json) AS r ${SETTLED_RECORD}
         ), locked AS (
           SELECT s.user_id, s.conversation_id, s.channel, s.device_id, s.alone_seq, s.last_seq > r.last_seq AS grew,
                  s.leased AND s.due_ms <> ALL (r.ends_ms) AS is_others, r.last_seq AS done_seq, r.is_over, r.due_ms,
                  r.attempts, r.first_seq, r.reached
             FROM settled r
             JOIN push_step s ON s.user_id = r.user_id AND s.conversation_id = r.conversation_id AND s.channel = r.channel
                             AND s.device_id = r.device_id AND s.alone_seq = r.alone_seq
            ORDER BY s.user_id, s.conversation_id, s.channel, s.device_id, s.alone_seq
              FOR UPDATE OF s
         ), over AS (
           DELETE FROM push_step s USING locked l
            WHERE s.user_id = l.user_id AND s.conversation_id = l.conversation_id AND s.channel = l.channel
              AND s.device_id = l.device_id AND s.alone_seq = l.alone_seq AND l.is_over AND NOT l.grew
         )
         UPDATE push_step s
            SET leased = false,
                due_ms = CASE WHEN l.is_over THEN ${NOW_MS} ELSE l.due_ms END,
                attempts = CASE WHEN l.is_over THEN 0 ELSE l.attempts END,
                first_seq = CASE WHEN l.is_over THEN l.done_seq + 1 ELSE l.first_seq END,
                reached = CASE WHEN l.is_over THEN s.reached ELSE l.reached END
           FROM locked l
          WHERE s.user_id = l.user_id AND s.conversation_id = l.conversation_id AND s.channel = l.channel
            AND s.device_id = l.device_id AND s.alone_seq = l.alone_seq AND NOT (l.is_over AND NOT l.grew)
            AND NOT l.is_others`,
};

/** How many (exact up to 10,000: this is a gauge), how late the oldest is, and the time. */
export const STEP_BACKLOG: Statement = {
  name: "push_step_backlog",
  text: `SELECT (SELECT count(*) FROM (SELECT 1 FROM push_step LIMIT 10000) w),
                coalesce(${NOW_MS} - (SELECT min(due_ms) FROM push_step WHERE due_ms <= ${NOW_MS}), 0), ${NOW_MS}`,
};

/** $1 users, $2 devices, $3 tokens. A token is nowhere kept when it is dead. */
export const FORGET_TOKENS: Statement = {
  name: "push_forget_tokens",
  text: `WITH dead AS (
           SELECT d.user_id, d.device_id, d.push_token
             FROM unnest($1::text[], $2::text[], $3::text[]) AS r(user_id, device_id, push_token)
             JOIN device d ON d.user_id = r.user_id AND d.device_id = r.device_id
              AND push_token_digest(d.push_token) = push_token_digest(r.push_token)
            ORDER BY d.user_id, d.device_id
              FOR NO KEY UPDATE OF d
         ), unbound AS (
           DELETE FROM push_binding b USING dead
            WHERE b.push_token = push_token_digest(dead.push_token) AND b.user_id = dead.user_id AND b.device_id = dead.device_id
         )
         UPDATE device d SET push_token = '', push_invalid_at = now()
           FROM dead WHERE d.user_id = dead.user_id AND d.device_id = dead.device_id
         RETURNING 1`,
};

/** $1 users, $2 kinds, $3 addresses. */
export const FORGET_CONTACTS: Statement = {
  name: "push_forget_contacts",
  text: `WITH dead AS (
           SELECT c.user_id, bool_or(r.kind = 'phone' AND c.phone = r.address) AS phone,
                  bool_or(r.kind = 'wechat' AND c.wechat = r.address) AS wechat
             FROM unnest($1::text[], $2::text[], $3::text[]) AS r(user_id, kind, address)
             JOIN push_contact c ON c.user_id = r.user_id
            GROUP BY c.user_id
         )
         UPDATE push_contact c
            SET phone = CASE WHEN d.phone THEN '' ELSE c.phone END,
                wechat = CASE WHEN d.wechat THEN '' ELSE c.wechat END, invalid_at = now()
           FROM dead d WHERE c.user_id = d.user_id AND (d.phone OR d.wechat)
         RETURNING 1`,
};

/** $1 JSON array of requests, distinct (user, channel). */
export const TAKE_QUOTA: Statement = {
  name: "push_take_quota",
  text: `WITH wanted AS (
           SELECT * FROM json_to_recordset($1::json) AS r(user_id text, channel text, day int, want int, cap int)
         ), taken AS (
           INSERT INTO push_quota AS q (user_id, channel, day, sent, granted)
           SELECT user_id, channel, day, least(want, cap), least(want, cap) FROM wanted
            ORDER BY user_id COLLATE "C", channel COLLATE "C"
           ON CONFLICT (user_id, channel) DO UPDATE
              SET day = excluded.day,
                  sent = CASE WHEN q.day = excluded.day
                              THEN q.sent + greatest(0, least(
                                (SELECT w.want FROM wanted w
                                  WHERE w.user_id = excluded.user_id AND w.channel = excluded.channel),
                                (SELECT w.cap FROM wanted w
                                  WHERE w.user_id = excluded.user_id AND w.channel = excluded.channel) - q.sent))
                              ELSE excluded.sent END,
                  granted = CASE WHEN q.day = excluded.day
                                 THEN greatest(0, least(
                                   (SELECT w.want FROM wanted w
                                     WHERE w.user_id = excluded.user_id AND w.channel = excluded.channel),
                                   (SELECT w.cap FROM wanted w
                                     WHERE w.user_id = excluded.user_id AND w.channel = excluded.channel) - q.sent))
                                 ELSE excluded.granted END
           RETURNING user_id, channel, granted
         )
         SELECT user_id, channel, granted FROM taken`,
};

/** $1 user, $2 device, $3 interval. */
export const TAKE_BACKGROUND_TURN: Statement = {
  name: "push_background_turn",
  text: `UPDATE device SET push_background_ms = ${NOW_MS}
          WHERE user_id = $1 AND device_id = $2 AND push_background_ms <= ${NOW_MS} - $3::bigint RETURNING 1`,
};
