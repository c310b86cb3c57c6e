// SPDX-License-Identifier: Apache-2.0
// See migrations/0015_broadcasts.sql.
import type { Statement } from "./postgres-pool.ts";

/** $1 id, $2 tenant, $3 digest, $4 type, $5 content, $6 audience, $7 segment, $8 from, $9 until, $10 urgent?, $11 users or null, $12 how many, $13 most, $14 topic, $15 most of it in a day. */
export const CREATE_BROADCAST: Statement = {
  name: "create_broadcast",
  text: "SELECT broadcast_create_v2($1, $2, $3::bytea, $4, $5::bytea, $6, $7, $8, $9, $10, $11::bytea, $12, $13, $14, $15)",
};

const STORED = `SELECT b.broadcast_id, b.broadcast_no, b.content_type, encode(b.content, 'hex'), b.audience, b.segment, b.not_before_ms,
       b.not_after_ms, b.urgent, b.created_ms, b.retracted_ms, b.users,
       coalesce((SELECT p.activation_seq FROM broadcast_part p WHERE p.broadcast_id = b.broadcast_id AND p.part = 1), 0),
       b.topic, b.max_per_day
  FROM broadcast b`;

/** $1 tenant, $2 id. */
export const FIND_BROADCAST: Statement = {
  name: "find_broadcast",
  text: `${STORED} WHERE b.broadcast_id = $2 AND b.tenant = $1`,
};

/** $1 tenant, $2 only numbers below, $3 limit. */
export const LIST_BROADCASTS: Statement = {
  name: "list_broadcasts",
  text: `${STORED} WHERE b.tenant = $1 AND b.broadcast_no < $2 ORDER BY b.tenant DESC, b.broadcast_no DESC LIMIT $3`,
};

/** $1 tenant, $2 id. A row per part: audience, over?, version, users; then its number, not in force yet?, its users in hex. */
export const LIST_OF_BROADCAST: Statement = {
  name: "list_of_broadcast",
  text: `SELECT b.audience, b.retracted_ms > 0 OR b.not_after_ms <= broadcast_now_ms(), b.version, b.users,
                p.part, p.activation_seq IS NULL, coalesce(encode(p.users, 'hex'), '00000000')
           FROM broadcast b JOIN broadcast_part p ON p.broadcast_id = b.broadcast_id
          WHERE b.broadcast_id = $2 AND b.tenant = $1 ORDER BY p.part`,
};

/** $1 id, $2 version, $3 part, $4 all users of the part, $5 how many are new. */
export const ADD_USERS: Statement = {
  name: "add_broadcast_users",
  text: "SELECT broadcast_add_users_v1($1, $2, $3, $4::bytea, $5)",
};

/** $1 tenant, $2 id. */
export const RETRACT_BROADCAST: Statement = {
  name: "retract_broadcast",
  text: "SELECT broadcast_retract_v1($1, $2)",
};

/** First row: the time, the epoch, when the next one is due or null, is something due? Then a row per tenant: '', tenant, head, version. */
export const BROADCAST_HEADS: Statement = {
  name: "broadcast_heads",
  text: `SELECT n.now_ms::text, m.inbox_epoch::text, d.due_ms, (coalesce(d.due_ms <= n.now_ms, false))::int::bigint
           FROM (SELECT broadcast_now_ms() AS now_ms) n, store_meta m,
                (SELECT min(p.due_ms) AS due_ms FROM broadcast_part p WHERE p.activation_seq IS NULL) d
          UNION ALL
         SELECT '', h.tenant, h.head, h.version FROM broadcast_head h`,
};

/** $1 most of one tenant. */
export const ACTIVATE_BROADCASTS: Statement = {
  name: "activate_broadcasts",
  text: "SELECT broadcast_activate_v1($1)",
};

/** $1 tenant. First row: head and version; then a row per part that is in force, by its seq. One snapshot. */
export const OPEN_BROADCASTS: Statement = {
  name: "open_broadcasts",
  text: `SELECT coalesce(max(h.head), 0), coalesce(max(h.version), 0)::text, NULL::int, NULL, NULL::int, NULL, NULL, NULL::bigint,
                NULL::bigint, NULL::boolean, 0::bigint AS seq, NULL, NULL::int
           FROM broadcast_head h WHERE h.tenant = $1
          UNION ALL
         SELECT p.activation_seq, b.broadcast_id, p.part, b.content_type, octet_length(b.content), b.audience, b.segment,
                b.not_before_ms, b.not_after_ms, b.urgent, p.activation_seq, b.topic, b.max_per_day
           FROM broadcast_part p JOIN broadcast b ON b.broadcast_id = p.broadcast_id
          WHERE p.tenant = $1 AND p.until_ms > broadcast_now_ms() AND p.activation_seq IS NOT NULL
          ORDER BY seq`,
};

/** $1 id. */
export const BROADCAST_CONTENT: Statement = {
  name: "broadcast_content",
  text: "SELECT encode(content, 'hex') FROM broadcast WHERE broadcast_id = $1",
};

/** $1 id, $2 part. */
export const USERS_OF_PART: Statement = {
  name: "users_of_broadcast",
  text: "SELECT encode(users, 'hex') FROM broadcast_part WHERE broadcast_id = $1 AND part = $2 AND users IS NOT NULL",
};

/** $1 users. */
export const NUMBER_USERS: Statement = {
  name: "number_users",
  text: "SELECT broadcast_number_users_v1($1)",
};

/** $1 users. */
export const BROADCAST_READERS: Statement = {
  name: "broadcast_readers",
  text: `SELECT user_id, user_no, coalesce(floor_seq, 0), watermark, registered_ms, coalesce(array_to_string(muted_topics, ' '), '')
           FROM broadcast_reader WHERE user_id = ANY ($1::text[])`,
};

/** $1 user, $2 topics. */
export const MUTE_TOPICS: Statement = {
  name: "mute_topics",
  text: "SELECT broadcast_mute_topics_v1($1, $2::text[])",
};

/** $1 users. */
export const DEVICE_TRAITS: Statement = {
  name: "device_traits",
  text: "SELECT user_id, platform, locale FROM device WHERE user_id = ANY ($1::text[])",
};

/** $1 users, each once; $2 seqs; $3 epoch that they are of. */
export const ADVANCE_WATERMARKS: Statement = {
  name: "advance_watermarks",
  text: "SELECT broadcast_advance_v1($1::text[], $2::bigint[]) FROM store_meta WHERE inbox_epoch::text = $3",
};

const OVER_MS = "least(not_after_ms, nullif(retracted_ms, 0))";

/** $1 over before, $2 most. Whoever retracts or activates one has its row, and it is passed over. */
export const PRUNE_BROADCASTS: Statement = {
  name: "prune_broadcasts",
  text: `WITH gone AS (
           DELETE FROM broadcast b WHERE b.broadcast_id = ANY (ARRAY(
             SELECT broadcast_id FROM broadcast WHERE ${OVER_MS} < $1 ORDER BY ${OVER_MS} LIMIT $2 FOR UPDATE SKIP LOCKED))
           RETURNING b.broadcast_id
         ), parts AS (
           DELETE FROM broadcast_part p USING gone WHERE p.broadcast_id = gone.broadcast_id
         )
         SELECT count(*) FROM gone`,
};
