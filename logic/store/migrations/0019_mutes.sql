-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- Users who may not write for a while. Every logic reads what changed since the version that it has seen.

CREATE TABLE mute (
  user_id  text COLLATE "C" PRIMARY KEY,
  -- This server's, ms since 1970; in the past: the user may write again.
  until_ms bigint NOT NULL,
  -- For the user.
  reason   text NOT NULL,
  version  bigint NOT NULL
);
CREATE INDEX mute_by_version ON mute (version);
CREATE INDEX mute_by_end ON mute (until_ms);

-- One row: its lock lets changes commit in the order of their versions, so that whoever has seen one has seen those below.
CREATE TABLE mute_version (
  only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  version  bigint NOT NULL
);
INSERT INTO mute_version (version) VALUES (0);

-- Mutes a user for so long, 0 = no more. False: so many are muted that no other one may be.
CREATE FUNCTION mute_set_v1(in_user text, in_for_ms bigint, in_reason text, in_most bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  next_version bigint;
BEGIN
  UPDATE mute_version SET version = version + 1 RETURNING version INTO next_version;
  IF in_for_ms > 0
     AND NOT EXISTS (SELECT FROM mute m WHERE m.user_id = in_user AND m.until_ms > api_now_ms())
     AND (SELECT count(*) FROM (SELECT FROM mute m WHERE m.until_ms > api_now_ms() LIMIT in_most) s) >= in_most THEN
    RETURN false;
  END IF;
  IF in_for_ms > 0 THEN
    INSERT INTO mute (user_id, until_ms, reason, version)
    VALUES (in_user, api_now_ms() + in_for_ms, in_reason, next_version)
    ON CONFLICT (user_id) DO UPDATE
       SET until_ms = excluded.until_ms, reason = excluded.reason, version = excluded.version;
  ELSE
    UPDATE mute SET until_ms = 0, reason = '', version = next_version WHERE user_id = in_user;
  END IF;
  RETURN true;
END $$;
