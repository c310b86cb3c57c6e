-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- What two people talk about: a conversation per pair and subject, or one of the pair that shows what was asked about last.

-- `subject_only`: of a conversation that is the pair's only one, by user, type and id that this user alone has asked about since, because
-- nobody else sees those messages of it.
ALTER TABLE conversation
  ADD COLUMN subject_type text COLLATE "C", ADD COLUMN subject_id text COLLATE "C", ADD COLUMN subject_only jsonb;

-- Makes conversations of one subject. Their ids are the pair's with '_' and more, and what holds for the pair's conversation (who has
-- blocked whom) holds for them from the first message on: its row is made if need be, and locked against changes. Its rows are locked in
-- the order of their ids, and those about something stand behind them, as in appends.
CREATE FUNCTION bind_conversations_v1(
  in_ids text[], in_pairs text[], in_users_a text[], in_users_b text[], in_types text[], in_subjects text[]
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM unnest(in_ids) AS u(id)
                  WHERE NOT EXISTS (SELECT FROM conversation c WHERE c.conversation_id = u.id)) THEN
    RETURN false;
  END IF;
  INSERT INTO conversation (conversation_id, last_seq, user_a, user_b)
  SELECT DISTINCT ON (u.pair COLLATE "C") u.pair, 0, u.user_a, u.user_b
    FROM unnest(in_pairs, in_users_a, in_users_b) AS u(pair, user_a, user_b) ORDER BY u.pair COLLATE "C"
  ON CONFLICT DO NOTHING;
  PERFORM FROM conversation c WHERE c.conversation_id = ANY (in_pairs) ORDER BY c.conversation_id FOR SHARE;
  INSERT INTO conversation (conversation_id, last_seq, user_a, user_b, blockers, group_version, subject_type, subject_id)
  SELECT u.id, 0, u.user_a, u.user_b, c.blockers, c.group_version, u.type, u.subject
    FROM unnest(in_ids, in_pairs, in_users_a, in_users_b, in_types, in_subjects) AS u(id, pair, user_a, user_b, type, subject)
    JOIN conversation c ON c.conversation_id = u.pair
   ORDER BY u.id COLLATE "C"
  ON CONFLICT DO NOTHING;
  RETURN true;
END $$;

-- What conversations that are not of one subject were asked about, in this order; in the transaction of the messages, behind them.
-- in_only_for: who alone sees the message, '' = both.
CREATE FUNCTION note_subjects_v1(in_ids text[], in_types text[], in_subjects text[], in_only_for text[])
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. coalesce(cardinality(in_ids), 0) LOOP
    IF in_only_for[i] = '' THEN
      UPDATE conversation c SET subject_type = in_types[i], subject_id = in_subjects[i], subject_only = NULL
       WHERE c.conversation_id = in_ids[i]
         AND (c.subject_type, c.subject_id, c.subject_only) IS DISTINCT FROM (in_types[i], in_subjects[i], NULL);
    ELSE
      UPDATE conversation c
         SET subject_only = coalesce(c.subject_only, '{}')
                            || jsonb_build_object(in_only_for[i], jsonb_build_array(in_types[i], in_subjects[i]))
       WHERE c.conversation_id = in_ids[i];
    END IF;
  END LOOP;
  RETURN true;
END $$;

-- change_blocks_v1 as before, but a block of a pair holds for its conversations about something, too.
CREATE OR REPLACE FUNCTION change_blocks_v1(
  in_user text, in_blocked text[], in_unblocked text[], in_others text[], in_conversations text[], in_max int, in_now_ms bigint,
  OUT outcome int, OUT version bigint
) LANGUAGE plpgsql AS $$
DECLARE
  added text[];
  gone text[];
  other record;
BEGIN
  INSERT INTO user_block_head AS h (user_id, version) VALUES (in_user, 0)
  ON CONFLICT (user_id) DO UPDATE SET version = h.version RETURNING h.version INTO version;
  added := ARRAY(SELECT u.id FROM unnest(in_blocked) AS u(id)
                  WHERE NOT EXISTS (SELECT FROM user_block b WHERE b.user_id = in_user AND b.blocked_id = u.id));
  gone := ARRAY(SELECT u.id FROM unnest(in_unblocked) AS u(id)
                 WHERE EXISTS (SELECT FROM user_block b WHERE b.user_id = in_user AND b.blocked_id = u.id));
  outcome := 0;
  IF cardinality(added) + cardinality(gone) = 0 THEN
    RETURN;
  END IF;
  IF cardinality(added) > 0 AND cardinality(added) - cardinality(gone)
       + (SELECT count(*) FROM user_block b WHERE b.user_id = in_user) > in_max THEN
    outcome := 2;
    RETURN;
  END IF;
  DELETE FROM user_block b WHERE b.user_id = in_user AND b.blocked_id = ANY (gone);
  INSERT INTO user_block (user_id, blocked_id, created_ms) SELECT in_user, u.id, in_now_ms FROM unnest(added) AS u(id);
  FOR other IN
    SELECT o.id, o.conversation FROM unnest(in_others, in_conversations) AS o(id, conversation)
     WHERE o.id = ANY (added || gone) ORDER BY o.conversation COLLATE "C"
  LOOP
    INSERT INTO conversation AS c (conversation_id, last_seq, user_a, user_b, blockers, group_version)
    VALUES (other.conversation, 0, in_user, other.id, ARRAY[in_user], 1)
    ON CONFLICT (conversation_id) DO UPDATE
       SET group_version = c.group_version + 1,
           blockers = nullif(CASE WHEN other.id = ANY (gone) THEN array_remove(c.blockers, in_user)
                                  ELSE array_append(array_remove(c.blockers, in_user), in_user) END, '{}');
    -- '`' is the character behind '_'.
    PERFORM FROM conversation c
      WHERE c.conversation_id >= other.conversation || '_' AND c.conversation_id < other.conversation || '`'
      ORDER BY c.conversation_id FOR NO KEY UPDATE;
    UPDATE conversation c
       SET group_version = c.group_version + 1,
           blockers = nullif(CASE WHEN other.id = ANY (gone) THEN array_remove(c.blockers, in_user)
                                  ELSE array_append(array_remove(c.blockers, in_user), in_user) END, '{}')
     WHERE c.conversation_id >= other.conversation || '_' AND c.conversation_id < other.conversation || '`';
  END LOOP;
  UPDATE user_block_head h SET version = h.version + 1 WHERE h.user_id = in_user RETURNING h.version INTO version;
  outcome := 1;
END $$;
