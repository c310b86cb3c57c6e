-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- What broadcasts are about: users may want none of a topic, and have no more than so many of it in a day.

ALTER TABLE broadcast
  -- '' = of none: everybody gets it.
  ADD COLUMN topic text NOT NULL DEFAULT '',
  -- Who got so many of the topic on its day does not get this one; 0 = no bound.
  ADD COLUMN max_per_day int NOT NULL DEFAULT 0;

-- Of these the user gets none; NULL = there are none.
ALTER TABLE broadcast_reader ADD COLUMN muted_topics text[];

-- As broadcast_create_v1.
CREATE FUNCTION broadcast_create_v2(
  in_id text, in_tenant text, in_digest bytea, in_type text, in_content bytea, in_audience text, in_segment text,
  in_not_before_ms bigint, in_not_after_ms bigint, in_urgent boolean, in_numbers bytea, in_users int, in_max_open int,
  in_topic text, in_max_per_day int
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  made text := broadcast_create_v1(in_id, in_tenant, in_digest, in_type, in_content, in_audience, in_segment,
                                   in_not_before_ms, in_not_after_ms, in_urgent, in_numbers, in_users, in_max_open);
BEGIN
  IF made = 'created' AND in_topic <> '' THEN
    UPDATE broadcast b SET topic = in_topic, max_per_day = in_max_per_day WHERE b.broadcast_id = in_id;
  END IF;
  RETURN made;
END $$;

-- Whoever has no row yet gets one: it is on no list, and no newer than it was.
CREATE FUNCTION broadcast_mute_topics_v1(in_user text, in_topics text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM broadcast_number_users_v1(ARRAY[in_user]);
  UPDATE broadcast_reader r SET muted_topics = nullif(in_topics, '{}') WHERE r.user_id = in_user;
END $$;
