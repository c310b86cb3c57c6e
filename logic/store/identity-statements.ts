// SPDX-License-Identifier: Apache-2.0
import { SEEN_STEP_MS } from "./identity.ts";
import type { Statement } from "./postgres-pool.ts";

/** The time of the server, which is one for all callers: ms since the epoch. */
const NOW_MS = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/** See login_v3 in migrations/. $10 0: now. Last column: the inbox epoch that the positions are of. */
export const LOGIN: Statement = {
  name: "login",
  text: `SELECT revoked, flapping, retry_ms, logged_in, slot_numbers, seqs, acked, inbox, (SELECT inbox_epoch FROM store_meta)
           FROM login_v3($1, $2, $3, $4, $5, $6, $7, $8, $9, coalesce(nullif($10::bigint, 0), ${NOW_MS}), $11)`,
};

/** See set_device_v1 in migrations/. */
export const SET_DEVICE: Statement = {
  name: "set_device",
  text: "SELECT set_device_v1($1, $2, $3, $4, $5, $6, $7)",
};

/** $1 users, $2 devices, $3 login seqs. Rows are locked in key order, so that two batches do not deadlock. */
export const LOGOUT_DEVICES: Statement = {
  name: "logout_devices",
  text: `WITH target AS (
           SELECT d.user_id, d.device_id, d.push_token
             FROM unnest($1::text[], $2::text[], $3::bigint[]) AS l(user_id, device_id, login_seq)
             JOIN device d ON d.user_id = l.user_id AND d.device_id = l.device_id AND d.login_seq = l.login_seq
            ORDER BY d.user_id, d.device_id
              FOR NO KEY UPDATE OF d
         ), unbound AS (
           DELETE FROM push_binding b USING target t
            WHERE b.push_token = push_token_digest(t.push_token) AND b.user_id = t.user_id AND b.device_id = t.device_id
         )
         UPDATE device d SET push_token = '', push_provider = '', login_seq = 0
           FROM target t WHERE d.user_id = t.user_id AND d.device_id = t.device_id`,
};

/**
 * $1 users, $2 devices, $3 ms ago, $4 app states or null. At most one row per device. One that moved to another entry was seen
 * there just before its old connection ended: nothing to write.
 */
export const NOTE_ACTIVITY: Statement = {
  name: "note_activity",
  text: `WITH target AS (
           SELECT d.user_id, d.device_id, a.ago_ms, a.app_state
             FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) AS a(user_id, device_id, ago_ms, app_state)
             JOIN device d ON d.user_id = a.user_id AND d.device_id = a.device_id
            WHERE a.app_state IS NOT NULL
               OR d.last_seen < now() - (a.ago_ms + ${SEEN_STEP_MS}) * interval '1 millisecond'
            ORDER BY d.user_id, d.device_id
              FOR NO KEY UPDATE OF d
         )
         UPDATE device d
            SET last_seen = greatest(d.last_seen, now() - t.ago_ms * interval '1 millisecond'),
                app_state = coalesce(t.app_state, d.app_state)
           FROM target t WHERE d.user_id = t.user_id AND d.device_id = t.device_id`,
};

export const DEVICES_OF: Statement = {
  name: "devices_of",
  text: `SELECT user_id, device_id, device_name, platform, app_state, (extract(epoch FROM last_seen) * 1000)::bigint,
                greatest(0, extract(epoch FROM now() - last_login) * 1000)::bigint
           FROM device WHERE user_id = ANY ($1::text[]) ORDER BY user_id, device_id`,
};

/** $1 user, $2 valid after ms, 0 = now. */
export const REVOKE_USER: Statement = {
  name: "revoke_user",
  text: `INSERT INTO user_revocation AS r (user_id, valid_after_ms, version)
         VALUES ($1, coalesce(nullif($2::bigint, 0), ${NOW_MS}), next_revocation_version())
         ON CONFLICT (user_id) DO UPDATE SET valid_after_ms = excluded.valid_after_ms, version = excluded.version
          WHERE r.valid_after_ms < excluded.valid_after_ms`,
};

/** $1 token id, $2 expires ms. */
export const REVOKE_TOKEN: Statement = {
  name: "revoke_token",
  text: `INSERT INTO revoked_token (token_id, expires_ms, version) VALUES ($1, $2, next_revocation_version())
         ON CONFLICT DO NOTHING`,
};

export const REVOCATION_VERSION: Statement = {
  name: "revocation_version",
  text: "SELECT version FROM revocation_version",
};

/** $1 version, $2 limit. Rows: version, user id or null, valid after ms or null, token id or null. */
export const REVOCATIONS_AFTER: Statement = {
  name: "revocations_after",
  text: `SELECT version, user_id, valid_after_ms, token_id
           FROM (SELECT version, user_id, valid_after_ms, NULL::text AS token_id FROM user_revocation WHERE version > $1
                  UNION ALL
                 SELECT version, NULL, NULL, token_id FROM revoked_token WHERE version > $1) r
          ORDER BY version LIMIT $2`,
};

/** $1 users, $2 token ids, $3 issued at ms: positions (from 1) of the revoked ones. */
export const FIND_REVOKED: Statement = {
  name: "find_revoked",
  text: `SELECT t.i
           FROM unnest($1::text[], $2::text[], $3::bigint[]) WITH ORDINALITY AS t(user_id, token_id, issued_ms, i)
          WHERE EXISTS (SELECT FROM user_revocation r WHERE r.user_id = t.user_id AND r.valid_after_ms > t.issued_ms)
             OR EXISTS (SELECT FROM revoked_token k WHERE k.token_id = t.token_id)
          ORDER BY t.i`,
};

export const PRUNE_REVOKED_TOKENS: Statement = {
  name: "prune_revoked_tokens",
  text: "DELETE FROM revoked_token WHERE expires_ms < $1",
};
