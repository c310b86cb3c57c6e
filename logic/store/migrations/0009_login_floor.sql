-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- A restored database has forgotten the newest logins, and would give their numbers again: lower ones than those of the routes
-- that are still there, which such a login could not replace. With a new epoch the numbers therefore go on above all that
-- were ever given: from the time in ms, as nobody logs in a thousand times a second.
ALTER TABLE store_meta ADD COLUMN login_floor bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN store_meta.login_floor IS 'Logins are numbered above it; raised with every change of inbox_epoch.';

CREATE FUNCTION raise_login_floor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.login_floor := greatest(OLD.login_floor, (extract(epoch FROM clock_timestamp()) * 1000)::bigint);
  RETURN NEW;
END $$;
CREATE TRIGGER raise_login_floor BEFORE UPDATE ON store_meta
  FOR EACH ROW WHEN (OLD.inbox_epoch <> NEW.inbox_epoch) EXECUTE FUNCTION raise_login_floor();

-- login_v3 as before, but for the floor.
CREATE OR REPLACE FUNCTION login_v3(
  in_users text[], in_classes text[], in_devices text[], in_platforms text[], in_names text[], in_versions text[],
  in_tokens text[], in_issued_ms bigint[],
  in_sessions int, in_at_ms bigint, in_limit int,
  OUT revoked int[], OUT flapping int[], OUT retry_ms bigint[],
  -- slot_numbers: k of `class#k`, 0 = the class itself.
  OUT logged_in int[], OUT slot_numbers int[], OUT seqs bigint[], OUT acked bigint[], OUT inbox bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
  refused_until_ms bigint[];
  floor_seq bigint;
BEGIN
  SELECT array_agg(l.i) FILTER (WHERE NOT l.is_revoked), array_agg(l.i) FILTER (WHERE l.is_revoked)
    INTO logged_in, revoked
    FROM (SELECT t.i::int AS i,
                 EXISTS (SELECT FROM user_revocation r WHERE r.user_id = t.user_id AND r.valid_after_ms > t.issued_ms)
                 OR EXISTS (SELECT FROM revoked_token k WHERE k.token_id = t.token_id) AS is_revoked
            FROM unnest(in_users, in_tokens, in_issued_ms) WITH ORDINALITY AS t(user_id, token_id, issued_ms, i)) l;
  IF logged_in IS NULL THEN
    RETURN;
  END IF;
  IF revoked IS NOT NULL THEN
    SELECT array_agg(l.u), array_agg(l.c), array_agg(l.d), array_agg(l.p), array_agg(l.n), array_agg(l.v)
      INTO in_users, in_classes, in_devices, in_platforms, in_names, in_versions
      FROM unnest(in_users, in_classes, in_devices, in_platforms, in_names, in_versions)
           WITH ORDINALITY AS l(u, c, d, p, n, v, i)
     WHERE l.i = ANY (logged_in);
  END IF;

  SELECT m.login_floor INTO floor_seq FROM store_meta m;

  -- Locks every slot. One that is refused changes nothing in its row; one that logs in too often is refused from now on.
  WITH decided AS (
    INSERT INTO session_slot AS s (user_id, slot, login_seq, window_ms, window_logins)
    SELECT l.u, l.c, floor_seq + 1, in_at_ms, 1 FROM unnest(in_users, in_classes) AS l(u, c)
    ON CONFLICT (user_id, slot) DO UPDATE
       SET (login_seq, window_ms, window_logins, refused_until_ms, strikes) = (
             SELECT CASE WHEN is_refused OR is_struck THEN s.login_seq ELSE greatest(s.login_seq, floor_seq) + 1 END,
                    CASE WHEN is_struck OR (is_new AND NOT is_refused) THEN in_at_ms ELSE s.window_ms END,
                    CASE WHEN is_refused THEN s.window_logins WHEN is_struck THEN 0 WHEN is_new THEN 1
                         ELSE s.window_logins + 1 END,
                    CASE WHEN is_struck THEN in_at_ms + least(10000 * (1 << s.strikes), 600000)
                         ELSE s.refused_until_ms END,
                    CASE WHEN is_struck THEN least(s.strikes + 1, 6)
                         WHEN is_new AND NOT is_refused AND in_at_ms - s.refused_until_ms >= 600000 THEN 0
                         ELSE s.strikes END
               FROM (SELECT n.is_refused, n.is_new,
                            in_limit > 0 AND NOT n.is_refused AND NOT n.is_new AND s.window_logins >= in_limit AS is_struck
                       FROM (SELECT in_limit > 0 AND in_at_ms < s.refused_until_ms AS is_refused,
                                    abs(in_at_ms - s.window_ms) >= 60000 AS is_new) n) q)
    RETURNING s.login_seq, s.refused_until_ms
  )
  SELECT array_agg(d.login_seq), array_agg(d.refused_until_ms) INTO seqs, refused_until_ms FROM decided d;

  IF in_limit > 0 AND in_at_ms < ANY (refused_until_ms) THEN
    SELECT array_agg(l.i), array_agg(l.until_ms - in_at_ms) INTO flapping, retry_ms
      FROM unnest(logged_in, refused_until_ms) AS l(i, until_ms) WHERE l.until_ms > in_at_ms;
    SELECT array_agg(l.i), array_agg(l.u), array_agg(l.c), array_agg(l.d), array_agg(l.p), array_agg(l.n), array_agg(l.v),
           array_agg(l.seq)
      INTO logged_in, in_users, in_classes, in_devices, in_platforms, in_names, in_versions, seqs
      FROM unnest(logged_in, in_users, in_classes, in_devices, in_platforms, in_names, in_versions, seqs, refused_until_ms)
           AS l(i, u, c, d, p, n, v, seq, until_ms)
     WHERE l.until_ms <= in_at_ms;
    IF logged_in IS NULL THEN
      RETURN;
    END IF;
  END IF;

  -- A device keeps the slot it holds; another one gets a free slot, else that of the oldest login.
  IF in_sessions > 1 THEN
    SELECT array_agg(g.n ORDER BY l.i) INTO slot_numbers
      FROM unnest(in_users, in_classes, in_devices) WITH ORDINALITY AS l(u, c, d, i)
     CROSS JOIN LATERAL (
       SELECT k.n
         FROM (SELECT n, CASE n WHEN 0 THEN l.c ELSE l.c || '#' || n END AS slot
                 FROM generate_series(0, in_sessions - 1) AS n) k
         LEFT JOIN LATERAL (SELECT d.device_id, d.login_seq FROM device d WHERE d.user_id = l.u AND d.slot = k.slot
                             ORDER BY d.login_seq DESC, d.device_id LIMIT 1) h ON true
        ORDER BY coalesce(h.device_id = l.d, false) DESC, h.login_seq NULLS FIRST, k.n
        LIMIT 1) g;
  ELSE
    slot_numbers := array_fill(0, ARRAY[cardinality(logged_in)]);
  END IF;

  WITH known AS (
    INSERT INTO device AS d (user_id, device_id, slot, login_seq, platform, device_name, app_version)
    SELECT l.u, l.d, CASE l.k WHEN 0 THEN l.c ELSE l.c || '#' || l.k END, l.seq, l.p, l.n, l.v
      FROM unnest(in_users, in_devices, in_classes, slot_numbers, seqs, in_platforms, in_names, in_versions)
           AS l(u, d, c, k, seq, p, n, v)
    ON CONFLICT (user_id, device_id) DO UPDATE
       SET slot = excluded.slot, login_seq = excluded.login_seq, platform = excluded.platform,
           device_name = excluded.device_name, app_version = excluded.app_version, app_state = 'foreground',
           last_login = now(), last_seen = now()
    RETURNING d.acked_seq
  )
  SELECT array_agg(k.acked_seq) INTO acked FROM known k;
  SELECT array_agg(coalesce((SELECT h.head FROM inbox_head h WHERE h.user_id = l.u), 0)) INTO inbox
    FROM unnest(in_users) AS l(u);
END $$;
