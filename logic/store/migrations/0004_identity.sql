-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- What a device tells about itself, how its slot is given out, and which tokens are revoked.

ALTER TABLE device
  ADD COLUMN locale    text NOT NULL DEFAULT '',
  ADD COLUMN prefs     text NOT NULL DEFAULT '',
  ADD COLUMN app_state text NOT NULL DEFAULT 'foreground',
  ADD COLUMN last_seen timestamptz NOT NULL DEFAULT now();
COMMENT ON COLUMN device.slot IS 'mobile, or mobile#k for the further sessions of a class that may have several.';
COMMENT ON COLUMN device.login_seq IS 'Of its last login; 0 after a logout: its place is the first to be given away.';
COMMENT ON COLUMN device.last_seen IS 'Coarse: written with acknowledgements, at login and at the end of a connection.';

-- Damping of logins that come too often, under the same row lock as login_seq.
ALTER TABLE session_slot
  ADD COLUMN window_ms        bigint NOT NULL DEFAULT 0,
  ADD COLUMN window_logins    int NOT NULL DEFAULT 0,
  ADD COLUMN refused_until_ms bigint NOT NULL DEFAULT 0,
  ADD COLUMN strikes          int NOT NULL DEFAULT 0;

-- A push token belongs to the device that named it last, whoever is logged in there.
CREATE TABLE push_binding (
  push_token text COLLATE "C" PRIMARY KEY,
  user_id    text COLLATE "C" NOT NULL,
  device_id  text COLLATE "C" NOT NULL
);

-- Revocations. `version` is taken under the lock of one row, so it grows in commit order and a reader that goes on
-- after the last one it saw misses none. They are rare: one lock for all costs nothing.
CREATE TABLE revocation_version (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  version  bigint NOT NULL DEFAULT 0
);
INSERT INTO revocation_version DEFAULT VALUES;
CREATE TABLE user_revocation (
  user_id        text COLLATE "C" PRIMARY KEY,
  valid_after_ms bigint NOT NULL,
  version        bigint NOT NULL
);
CREATE INDEX user_revocation_version ON user_revocation (version);
CREATE TABLE revoked_token (
  token_id   text COLLATE "C" PRIMARY KEY,
  -- When it would have run out by itself; the row is not needed after that.
  expires_ms bigint NOT NULL,
  version    bigint NOT NULL
);
CREATE INDEX revoked_token_version ON revoked_token (version);

-- One login: revoked? too often? which slot? All under the lock of (user, class), so that logins of one class are decided
-- one after the other. A device keeps the slot it holds; another one gets a free slot, else that of the oldest login.
CREATE FUNCTION login_v2(
  in_user text, in_class text, in_device text, in_platform text, in_name text, in_version text,
  in_sessions int, in_at_ms bigint, in_limit int, in_token text, in_issued_ms bigint,
  OUT outcome text, OUT retry_ms bigint, OUT given text, OUT seq bigint, OUT acked bigint, OUT inbox bigint
) LANGUAGE plpgsql AS $$
DECLARE
  s session_slot;
BEGIN
  IF EXISTS (SELECT FROM user_revocation r WHERE r.user_id = in_user AND r.valid_after_ms > in_issued_ms)
     OR EXISTS (SELECT FROM revoked_token t WHERE t.token_id = in_token) THEN
    outcome := 'revoked';
    RETURN;
  END IF;

  LOOP
    SELECT * INTO s FROM session_slot c WHERE c.user_id = in_user AND c.slot = in_class FOR UPDATE;
    EXIT WHEN FOUND;
    INSERT INTO session_slot (user_id, slot, login_seq) VALUES (in_user, in_class, 0) ON CONFLICT DO NOTHING;
  END LOOP;

  IF in_limit > 0 AND in_at_ms < s.refused_until_ms THEN
    outcome := 'flapping';
    retry_ms := s.refused_until_ms - in_at_ms;
    RETURN;
  END IF;
  IF abs(in_at_ms - s.window_ms) >= 60000 THEN
    s.window_ms := in_at_ms;
    s.window_logins := 0;
    IF in_at_ms - s.refused_until_ms >= 600000 THEN
      s.strikes := 0;
    END IF;
  END IF;
  IF in_limit > 0 AND s.window_logins >= in_limit THEN
    outcome := 'flapping';
    retry_ms := least(10000 * (1 << s.strikes), 600000);
    UPDATE session_slot c
       SET window_ms = in_at_ms, window_logins = 0, refused_until_ms = in_at_ms + retry_ms,
           strikes = least(s.strikes + 1, 6)
     WHERE c.user_id = in_user AND c.slot = in_class;
    RETURN;
  END IF;

  given := in_class;
  IF in_sessions > 1 THEN
    SELECT k.slot INTO given
      FROM (SELECT n, CASE n WHEN 0 THEN in_class ELSE in_class || '#' || n END AS slot
              FROM generate_series(0, in_sessions - 1) AS n) k
      LEFT JOIN LATERAL (SELECT d.device_id, d.login_seq FROM device d
                          WHERE d.user_id = in_user AND d.slot = k.slot ORDER BY d.login_seq DESC, d.device_id LIMIT 1) h ON true
     ORDER BY coalesce(h.device_id = in_device, false) DESC, h.login_seq NULLS FIRST, k.n
     LIMIT 1;
  END IF;

  UPDATE session_slot c
     SET login_seq = c.login_seq + 1, window_ms = s.window_ms, window_logins = s.window_logins + 1, strikes = s.strikes
   WHERE c.user_id = in_user AND c.slot = in_class
  RETURNING c.login_seq INTO seq;
  INSERT INTO device AS d (user_id, device_id, slot, login_seq, platform, device_name, app_version)
  VALUES (in_user, in_device, given, seq, in_platform, in_name, in_version)
  ON CONFLICT (user_id, device_id) DO UPDATE
     SET slot = excluded.slot, login_seq = excluded.login_seq, platform = excluded.platform,
         device_name = excluded.device_name, app_version = excluded.app_version, app_state = 'foreground',
         last_login = now(), last_seen = now()
  RETURNING d.acked_seq INTO acked;
  outcome := 'ok';
  retry_ms := 0;
  inbox := coalesce((SELECT h.head FROM inbox_head h WHERE h.user_id = in_user), 0);
END $$;

-- What a device tells about itself replaces what it told before. A push token that another device had moves here.
-- Returns whether the device is known.
CREATE FUNCTION set_device_v1(
  in_user text, in_device text, in_provider text, in_token text, in_locale text, in_version text, in_prefs text
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  before text;
  owner push_binding;
BEGIN
  IF in_token <> '' THEN
    LOOP
      SELECT * INTO owner FROM push_binding b WHERE b.push_token = in_token FOR UPDATE;
      EXIT WHEN FOUND;
      INSERT INTO push_binding (push_token, user_id, device_id) VALUES (in_token, in_user, in_device)
      ON CONFLICT DO NOTHING;
    END LOOP;
  END IF;
  SELECT d.push_token INTO before FROM device d WHERE d.user_id = in_user AND d.device_id = in_device FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    DELETE FROM push_binding b WHERE b.push_token = in_token AND b.user_id = in_user AND b.device_id = in_device;
    RETURN false;
  END IF;
  IF in_token <> '' AND (owner.user_id, owner.device_id) <> (in_user, in_device) THEN
    UPDATE device d SET push_token = '', push_provider = ''
     WHERE d.user_id = owner.user_id AND d.device_id = owner.device_id AND d.push_token = in_token;
    UPDATE push_binding b SET user_id = in_user, device_id = in_device WHERE b.push_token = in_token;
  END IF;
  IF before <> '' AND before <> in_token THEN
    DELETE FROM push_binding b WHERE b.push_token = before AND b.user_id = in_user AND b.device_id = in_device;
  END IF;
  UPDATE device d
     SET push_provider = in_provider, push_token = in_token,
         push_invalid_at = CASE in_token WHEN '' THEN d.push_invalid_at END, locale = in_locale, prefs = in_prefs,
         app_version = CASE in_version WHEN '' THEN d.app_version ELSE in_version END
   WHERE d.user_id = in_user AND d.device_id = in_device;
  RETURN true;
END $$;

-- Next version of the revocations; holds its lock until the transaction ends.
CREATE FUNCTION next_revocation_version() RETURNS bigint LANGUAGE sql AS $$
  UPDATE revocation_version SET version = version + 1 RETURNING version
$$;
