-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- Broadcasts: stored once each, however many users they are for. No row belongs to a user and a broadcast: a user has one row for all of
-- them, which says how far it has come. Times are this server's, bigint milliseconds since 1970.

CREATE FUNCTION broadcast_now_ms() RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint
$$;

-- The tenant of a user: what stands before the slash in its id; '' is the default one.
CREATE FUNCTION broadcast_tenant(in_user text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN strpos(in_user, '/') > 0 THEN split_part(in_user, '/', 1) ELSE '' END
$$;

-- Of each tenant: the newest activation seq, given out under the lock of this row and therefore gapless, in commit order; and a version that
-- is raised by whatever changes which broadcasts are in force.
CREATE TABLE broadcast_head (
  tenant  text COLLATE "C" PRIMARY KEY,
  head    bigint NOT NULL DEFAULT 0,
  version bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 60);

CREATE TABLE broadcast (
  broadcast_id  text COLLATE "C" PRIMARY KEY,
  -- Orders the list.
  broadcast_no  bigint GENERATED ALWAYS AS IDENTITY,
  tenant        text COLLATE "C" NOT NULL,
  -- SHA-256 of what makes two requests the same.
  digest        bytea NOT NULL,
  content_type  text NOT NULL,
  content       bytea NOT NULL,
  audience      text NOT NULL CHECK (audience IN ('all', 'segment', 'users')),
  -- JSON; '' when the audience is no segment.
  segment       text NOT NULL,
  not_before_ms bigint NOT NULL,
  not_after_ms  bigint NOT NULL,
  urgent        boolean NOT NULL,
  created_ms    bigint NOT NULL,
  -- 0 = it is not.
  retracted_ms  bigint NOT NULL DEFAULT 0,
  -- Of a list: how many are on it, and how often it was added to.
  users         int NOT NULL DEFAULT 0,
  version       bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX broadcast_of_tenant ON broadcast (tenant, broadcast_no);

-- The audience of a broadcast, in parts: users that are added when it is in force already become the next part, which gets an activation
-- seq of its own. Else those who were passed over before would never come back to it.
CREATE TABLE broadcast_part (
  broadcast_id   text COLLATE "C" NOT NULL,
  part           int NOT NULL,
  tenant         text COLLATE "C" NOT NULL,
  due_ms         bigint NOT NULL,
  -- When it ends; 0 once it was retracted.
  until_ms       bigint NOT NULL,
  -- NULL until it is in force.
  activation_seq bigint,
  -- Numbers of the users, compressed; NULL when the audience is no list. No number is in two parts of a broadcast.
  users          bytea,
  PRIMARY KEY (broadcast_id, part)
);
CREATE UNIQUE INDEX broadcast_part_seq ON broadcast_part (tenant, activation_seq) WHERE activation_seq IS NOT NULL;
CREATE INDEX broadcast_part_due ON broadcast_part (due_ms) WHERE activation_seq IS NULL;
CREATE INDEX broadcast_part_until ON broadcast_part (tenant, until_ms);

-- How far a user has come, on all devices together: nothing up to the floor, where the newest broadcast was when it first logged in, is for
-- it. Users without a row were there before this table; those who were only named in a list have no floor yet.
CREATE TABLE broadcast_reader (
  user_id       text COLLATE "C" PRIMARY KEY,
  -- Stands for the user in lists.
  user_no       int GENERATED ALWAYS AS IDENTITY,
  floor_seq     bigint,
  watermark     bigint NOT NULL DEFAULT 0,
  -- When it first logged in; 0 = before this table was there.
  registered_ms bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70);

-- The first slot of a user is its first login.
CREATE FUNCTION broadcast_register() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM fresh) THEN
    INSERT INTO broadcast_reader AS r (user_id, floor_seq, watermark, registered_ms)
    SELECT f.user_id, coalesce(h.head, 0), coalesce(h.head, 0), broadcast_now_ms()
      FROM fresh f LEFT JOIN broadcast_head h ON h.tenant = broadcast_tenant(f.user_id)
     WHERE NOT EXISTS (SELECT FROM session_slot s WHERE s.user_id = f.user_id AND s.slot <> f.slot)
     ORDER BY f.user_id
    ON CONFLICT (user_id) DO UPDATE
       SET floor_seq = excluded.floor_seq, watermark = excluded.watermark, registered_ms = excluded.registered_ms
     WHERE r.floor_seq IS NULL;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER broadcast_register AFTER INSERT ON session_slot
  REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION broadcast_register();

-- Numbers of users; who has none gets one, and has it for good.
CREATE FUNCTION broadcast_number_users_v1(in_users text[]) RETURNS SETOF int LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO broadcast_reader (user_id, floor_seq)
  SELECT u.id, CASE WHEN EXISTS (SELECT FROM session_slot s WHERE s.user_id = u.id) THEN 0 END
    FROM unnest(in_users) AS u(id)
   WHERE NOT EXISTS (SELECT FROM broadcast_reader r WHERE r.user_id = u.id)
   ORDER BY u.id COLLATE "C"
  ON CONFLICT DO NOTHING;
  RETURN QUERY SELECT r.user_no FROM broadcast_reader r WHERE r.user_id = ANY (in_users);
END $$;

-- outcome: created; same: it was made by this request before; conflict: the id belongs to something else; full: too many are planned or in force.
CREATE FUNCTION broadcast_create_v1(
  in_id text, in_tenant text, in_digest bytea, in_type text, in_content bytea, in_audience text, in_segment text,
  in_not_before_ms bigint, in_not_after_ms bigint, in_urgent boolean, in_numbers bytea, in_users int, in_max_open int
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  known bytea;
BEGIN
  INSERT INTO broadcast_head (tenant) VALUES (in_tenant) ON CONFLICT DO NOTHING;
  SELECT b.digest INTO known FROM broadcast b WHERE b.broadcast_id = in_id;
  IF NOT FOUND AND in_max_open <= (
       SELECT count(*) FROM (SELECT FROM broadcast_part p WHERE p.tenant = in_tenant AND p.until_ms > broadcast_now_ms()
                              LIMIT in_max_open) o) THEN
    RETURN 'full';
  END IF;
  INSERT INTO broadcast (broadcast_id, tenant, digest, content_type, content, audience, segment, not_before_ms, not_after_ms,
                         urgent, created_ms, users)
  VALUES (in_id, in_tenant, in_digest, in_type, in_content, in_audience, in_segment, in_not_before_ms, in_not_after_ms,
          in_urgent, broadcast_now_ms(), in_users)
  ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    SELECT b.digest INTO known FROM broadcast b WHERE b.broadcast_id = in_id;
    RETURN CASE WHEN known = in_digest THEN 'same' ELSE 'conflict' END;
  END IF;
  INSERT INTO broadcast_part (broadcast_id, part, tenant, due_ms, until_ms, users)
  VALUES (in_id, 1, in_tenant, in_not_before_ms, in_not_after_ms, in_numbers);
  RETURN 'created';
END $$;

-- Puts the users into the part, unless the list or the part is not what the caller has seen: then it returns false, and the caller looks again.
CREATE FUNCTION broadcast_add_users_v1(in_id text, in_version bigint, in_part int, in_numbers bytea, in_added int)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  b broadcast;
  p broadcast_part;
BEGIN
  SELECT * INTO b FROM broadcast o WHERE o.broadcast_id = in_id AND o.version = in_version AND o.retracted_ms = 0 FOR UPDATE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  SELECT * INTO p FROM broadcast_part o WHERE o.broadcast_id = in_id AND o.part = in_part FOR UPDATE;
  IF NOT FOUND THEN
    INSERT INTO broadcast_part (broadcast_id, part, tenant, due_ms, until_ms, users)
    VALUES (in_id, in_part, b.tenant, b.not_before_ms, b.not_after_ms, in_numbers);
  ELSIF p.activation_seq IS NULL THEN
    UPDATE broadcast_part o SET users = in_numbers WHERE o.broadcast_id = in_id AND o.part = in_part;
  ELSE
    RETURN false;
  END IF;
  UPDATE broadcast o SET version = o.version + 1, users = o.users + in_added WHERE o.broadcast_id = in_id;
  RETURN true;
END $$;

-- Locks are taken in the order head, broadcast, part.
CREATE FUNCTION broadcast_retract_v1(in_tenant text, in_id text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM broadcast_head h WHERE h.tenant = in_tenant FOR UPDATE;
  UPDATE broadcast b SET retracted_ms = broadcast_now_ms()
   WHERE b.broadcast_id = in_id AND b.tenant = in_tenant AND b.retracted_ms = 0;
  IF NOT FOUND THEN
    RETURN EXISTS (SELECT FROM broadcast b WHERE b.broadcast_id = in_id AND b.tenant = in_tenant);
  END IF;
  UPDATE broadcast_part p SET until_ms = 0 WHERE p.broadcast_id = in_id;
  UPDATE broadcast_head h SET version = h.version + 1 WHERE h.tenant = in_tenant;
  RETURN true;
END $$;

-- Puts into force what is due: the head's lock first, then each part takes the next seq. What another logic put into force while this one
-- waited for the lock is not due any more. Whatever its window is by then, a part takes its place: nobody has to remember what was passed over.
CREATE FUNCTION broadcast_activate_v1(in_limit int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  now_ms bigint := broadcast_now_ms();
  one text;
BEGIN
  FOR one IN SELECT DISTINCT p.tenant FROM broadcast_part p WHERE p.activation_seq IS NULL AND p.due_ms <= now_ms ORDER BY 1 LOOP
    PERFORM FROM broadcast_head h WHERE h.tenant = one FOR UPDATE;
    WITH due AS (
      SELECT p.broadcast_id, p.part, row_number() OVER (ORDER BY p.due_ms, b.broadcast_no, p.part) AS n
        FROM broadcast_part p JOIN broadcast b ON b.broadcast_id = p.broadcast_id
       WHERE p.activation_seq IS NULL AND p.due_ms <= now_ms AND p.tenant = one
       ORDER BY p.due_ms, b.broadcast_no, p.part LIMIT in_limit
    ), placed AS (
      UPDATE broadcast_part p SET activation_seq = h.head + d.n
        FROM due d, broadcast_head h
       WHERE h.tenant = one AND p.broadcast_id = d.broadcast_id AND p.part = d.part
      RETURNING 1
    )
    UPDATE broadcast_head h SET head = h.head + (SELECT count(*) FROM placed), version = h.version + 1 WHERE h.tenant = one;
  END LOOP;
END $$;

-- Moves watermarks forward, never back and never past the head.
CREATE FUNCTION broadcast_advance_v1(in_users text[], in_seqs bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM broadcast_reader r WHERE r.user_id = ANY (in_users) ORDER BY r.user_id FOR NO KEY UPDATE;
  UPDATE broadcast_reader r SET watermark = a.seq
    FROM (SELECT t.user_id, least(t.seq, h.head) AS seq
            FROM unnest(in_users, in_seqs) AS t(user_id, seq) JOIN broadcast_head h ON h.tenant = broadcast_tenant(t.user_id)) a
   WHERE r.user_id = a.user_id AND r.watermark < a.seq;
  INSERT INTO broadcast_reader (user_id, floor_seq, watermark)
  SELECT t.user_id, 0, least(t.seq, h.head)
    FROM unnest(in_users, in_seqs) AS t(user_id, seq) JOIN broadcast_head h ON h.tenant = broadcast_tenant(t.user_id)
   WHERE NOT EXISTS (SELECT FROM broadcast_reader r WHERE r.user_id = t.user_id)
   ORDER BY t.user_id COLLATE "C"
  ON CONFLICT DO NOTHING;
END $$;
