// SPDX-License-Identifier: Apache-2.0
import { HOOK_SHARDS } from "./hooks.ts";
import type { Statement } from "./postgres-pool.ts";

const NOW_MS = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/**
 * For statements that append by `stored` with the parameters of append_v1: the messages become one row of the outbox of hooks, in the
 * same transaction, behind the locks of their conversations.
 */
export const APPENDED_FACTS = `hooked AS (
           INSERT INTO hook_outbox (kind, ids, keys, seqs, created_ms)
           SELECT 'message.after', $9::uuid[], ARRAY(SELECT ($1::text[])[m.c] FROM unnest($7::int[]) AS m(c)),
                  ARRAY(SELECT (stored.r).last_seqs[m.c] + m.back FROM unnest($7::int[], $8::int[]) AS m(c, back)),
                  $15::bigint[]
             FROM stored WHERE stored.r IS NOT NULL
         )`;

/** The same for a change by `done`: its event. */
export const CHANGED_FACTS = `hooked AS (
           INSERT INTO hook_outbox (kind, ids, keys, seqs, created_ms)
           SELECT 'message.after', ARRAY[(r).event_id], ARRAY[$5::text], ARRAY[(r).event_seq], ARRAY[(r).event_ms]
             FROM done WHERE (r).outcome = 'changed'
         )`;

/** $1 kinds, $2 ids, $3 keys, $4 bodies: a row per fact. */
export const RECORD: Statement = {
  name: "hook_record",
  text: `INSERT INTO hook_outbox (kind, ids, keys, bodies)
         SELECT f.kind, ARRAY[f.id], ARRAY[f.key], ARRAY[f.body]
           FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[]) AS f(kind, id, key, body)`,
};

/** $1 users, distinct, $2 whether each is online. A row per user is locked before its fact gets its number. */
export const TELL_PRESENCE: Statement = {
  name: "hook_presence",
  text: `WITH looks AS (
           SELECT * FROM unnest($1::text[], $2::int[]) AS l(user_id, online)
         ), came AS (
           INSERT INTO hook_online (user_id, since_ms)
           SELECT user_id, ${NOW_MS} FROM looks WHERE online = 1 ORDER BY user_id COLLATE "C"
           ON CONFLICT DO NOTHING RETURNING user_id
         ), gone AS MATERIALIZED (
           SELECT o.user_id FROM hook_online o JOIN looks l ON l.user_id = o.user_id AND l.online = 0
            ORDER BY o.user_id FOR UPDATE OF o
         ), went AS (
           DELETE FROM hook_online o USING gone WHERE o.user_id = gone.user_id RETURNING o.user_id
         )
         INSERT INTO hook_outbox (kind, ids, keys, bodies)
         SELECT 'presence', ARRAY[gen_random_uuid()], ARRAY[f.user_id], ARRAY[f.body]
           FROM (SELECT user_id, '{"online":true}' AS body FROM came
                  UNION ALL SELECT user_id, '{"online":false}' FROM went) f
         RETURNING 1`,
};

/** $1 age in ms, $2 most users. Their time becomes now's. */
export const ONLINE_TO_CHECK: Statement = {
  name: "hook_online_to_check",
  text: `WITH oldest AS (
           SELECT user_id FROM hook_online WHERE since_ms <= ${NOW_MS} - $1 ORDER BY since_ms LIMIT $2 FOR UPDATE SKIP LOCKED
         )
         UPDATE hook_online o SET since_ms = ${NOW_MS} FROM oldest WHERE o.user_id = oldest.user_id RETURNING o.user_id`,
};

/** $1 message ids, $2 conversations, $3 seqs, $4 senders, $5 verdicts, $6 reasons, $7 hooks. */
export const ADD_VERDICTS: Statement = {
  name: "hook_add_verdicts",
  text: `INSERT INTO hook_verdict (message_id, conversation_id, seq, sender, verdict, reason, hook)
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[])
         ON CONFLICT DO NOTHING`,
};

/** $1 hold in ms, $2 most. */
export const CLAIM_VERDICTS: Statement = {
  name: "hook_claim_verdicts",
  text: `WITH free AS (
           SELECT message_id FROM hook_verdict WHERE free_at <= clock_timestamp()
            ORDER BY free_at LIMIT $2 FOR UPDATE SKIP LOCKED
         )
         UPDATE hook_verdict v SET tries = v.tries + 1, free_at = clock_timestamp() + $1 * interval '1 millisecond'
           FROM free WHERE v.message_id = free.message_id
         RETURNING v.message_id, v.conversation_id, v.seq, v.sender, v.verdict, v.reason, v.hook, v.tries`,
};

/** $1 message ids. */
export const END_VERDICTS: Statement = {
  name: "hook_end_verdicts",
  text: "DELETE FROM hook_verdict WHERE message_id = ANY ($1::uuid[])",
};

export const COLLECT: Statement = { name: "hook_collect", text: `SELECT hook_collect_v1(${HOOK_SHARDS}, $1)` };

/** $1 names. */
export const REGISTER: Statement = {
  name: "hook_register",
  text: `INSERT INTO hook_cursor (hook, shard, position)
         SELECT h, s, l.last_position FROM unnest($1::text[]) AS h, generate_series(0, ${HOOK_SHARDS - 1}) AS s, hook_log l
         ON CONFLICT DO NOTHING`,
};

/** $1 hooks, $2 lease in ms, $3 most shards. Who waited longest comes first. */
export const CLAIM: Statement = {
  name: "hook_claim",
  text: `WITH free AS (
           SELECT c.hook, c.shard FROM hook_cursor c
            WHERE c.hook = ANY ($1::text[]) AND c.free_at <= clock_timestamp()
              AND EXISTS (SELECT FROM hook_event e WHERE e.shard = c.shard AND e.position > c.position)
            ORDER BY c.free_at LIMIT $3 FOR UPDATE SKIP LOCKED
         )
         UPDATE hook_cursor c
            SET lease = c.lease + 1, free_at = clock_timestamp() + $2 * interval '1 millisecond'
           FROM free WHERE c.hook = free.hook AND c.shard = free.shard
         RETURNING c.hook, c.shard, c.position, c.tries, c.lease`,
};

/** $1 shard, $2 behind this position, $3 most events, $4 with contents. */
export const READ: Statement = {
  name: "hook_read",
  text: `SELECT e.position, e.id, e.kind, e.key, e.stored_ms, e.only_hook, e.seq, e.created_ms, e.body,
                m.sender, m.client_message_id, m.content_type, CASE WHEN $4 THEN m.content ELSE '' END,
                to_json(ARRAY[c.user_a, c.user_b])::text, c.subject_type, c.subject_id
           FROM (SELECT * FROM hook_event WHERE shard = $1 AND position > $2 ORDER BY position LIMIT $3) e
           LEFT JOIN message m ON m.conversation_id = e.key AND m.seq = e.seq AND m.created_ms = e.created_ms
                              AND m.message_id = e.id
           LEFT JOIN conversation c ON c.conversation_id = e.key AND e.seq IS NOT NULL AND c.user_a IS NOT NULL
          ORDER BY e.position`,
};

/** $1 hook, $2 shard, $3 lease, $4 position, $5 tries, $6 pause in ms, $7 the dead event or null, $8 why, $9 its tries. */
export const SETTLE: Statement = {
  name: "hook_settle",
  text: `WITH mine AS (
           UPDATE hook_cursor SET position = $4, tries = $5, free_at = clock_timestamp() + $6 * interval '1 millisecond'
            WHERE hook = $1 AND shard = $2 AND lease = $3 RETURNING shard
         ), buried AS (
           INSERT INTO hook_dead (hook, position, died_ms, reason, tries, stored_ms, kind, id, key, seq, created_ms, body)
           SELECT $1, e.position, ${NOW_MS}, $8, $9, e.stored_ms, e.kind, e.id, e.key, e.seq, e.created_ms, e.body
             FROM mine JOIN hook_event e ON e.shard = mine.shard AND e.position = $7::bigint
           ON CONFLICT (hook, position) DO NOTHING
         )
         SELECT 1 FROM mine`,
};

/** $1 hooks. First row: the outbox and the log. */
export const BACKLOG: Statement = {
  name: "hook_backlog",
  text: `SELECT '', l.last_position, 0, 0,
                coalesce((SELECT extract(epoch FROM clock_timestamp() - o.stored_at) * 1000
                            FROM hook_outbox o ORDER BY o.outbox_id LIMIT 1), 0)
           FROM hook_log l
          UNION ALL
         SELECT * FROM (
           SELECT c.hook, min(c.position), max(c.tries),
                  (SELECT count(*) FROM hook_dead d WHERE d.hook = c.hook),
                  coalesce(max(${NOW_MS} - e.stored_ms), 0)
             FROM hook_cursor c
             LEFT JOIN LATERAL (SELECT e.stored_ms FROM hook_event e WHERE e.shard = c.shard AND e.position > c.position
                                 ORDER BY e.position LIMIT 1) e ON true
            WHERE c.hook = ANY ($1::text[]) GROUP BY c.hook ORDER BY c.hook) s`,
};

/** $1 hook, $2 behind this position, $3 most. */
export const LIST_DEAD: Statement = {
  name: "hook_list_dead",
  text: `SELECT position, id, kind, key, stored_ms, died_ms, reason, tries FROM hook_dead
          WHERE hook = $1 AND position > $2 ORDER BY position LIMIT $3`,
};

/** $1 hook, $2 positions or null, $3 most. One row of the outbox each: they go to different shards. */
export const REPLAY_DEAD: Statement = {
  name: "hook_replay_dead",
  text: `WITH oldest AS (
           SELECT position FROM hook_dead WHERE hook = $1 AND ($2::bigint[] IS NULL OR position = ANY ($2::bigint[]))
            ORDER BY position LIMIT $3 FOR UPDATE
         ), taken AS (
           DELETE FROM hook_dead d USING oldest WHERE d.hook = $1 AND d.position = oldest.position RETURNING d.*
         )
         INSERT INTO hook_outbox (kind, only_hook, ids, keys, seqs, created_ms, bodies)
         SELECT t.kind, $1, ARRAY[t.id], ARRAY[t.key], ARRAY[t.seq], ARRAY[t.created_ms], ARRAY[t.body]
           FROM taken t ORDER BY t.position
         RETURNING 1`,
};

/** $1 hook, $2 position or null, $3 time in ms. Whoever has a shard in hand loses it. Never forward. */
export const REWIND: Statement = {
  name: "hook_rewind",
  text: `UPDATE hook_cursor c
            SET position = least(c.position, coalesce($2::bigint, (
                  SELECT e.position - 1 FROM hook_event e WHERE e.shard = c.shard AND e.stored_ms >= $3
                   ORDER BY e.position LIMIT 1), c.position)),
                tries = 0, lease = c.lease + 1, free_at = clock_timestamp()
          WHERE c.hook = $1 RETURNING 1`,
};

/** $1 hooks, $2 age in ms, $3 most events of each shard and most dead ones. */
export const PRUNE: Statement = {
  name: "hook_prune",
  text: `WITH old AS (
           SELECT e.shard, e.position FROM generate_series(0, ${HOOK_SHARDS - 1}) AS s
            CROSS JOIN LATERAL (SELECT o.shard, o.position, o.stored_ms FROM hook_event o WHERE o.shard = s
                                 ORDER BY o.position LIMIT $3) e
            WHERE e.stored_ms < ${NOW_MS} - $2
         ), gone AS (
           DELETE FROM hook_event e USING old WHERE e.shard = old.shard AND e.position = old.position
           RETURNING EXISTS (SELECT FROM hook_cursor c
                              WHERE c.hook = ANY ($1::text[]) AND c.shard = e.shard AND c.position < e.position) AS is_untold
         ), buried AS (
           DELETE FROM hook_dead d USING (SELECT hook, position FROM hook_dead
                                           WHERE died_ms < ${NOW_MS} - $2 ORDER BY died_ms LIMIT $3) o
            WHERE d.hook = o.hook AND d.position = o.position
         )
         SELECT count(*), count(*) FILTER (WHERE is_untold) FROM gone`,
};
