-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- Two people have a bounded number of conversations about something.

-- As bind_conversations_v1, but gives back which conversations were not made, because the pair would have more about something than
-- in_most says. Who makes some for a pair excludes others who do, so that both count what is there.
CREATE FUNCTION bind_conversations_v2(
  in_ids text[], in_pairs text[], in_users_a text[], in_users_b text[], in_types text[], in_subjects text[], in_most int[]
) RETURNS text[] LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM unnest(in_ids) AS u(id)
                  WHERE NOT EXISTS (SELECT FROM conversation c WHERE c.conversation_id = u.id)) THEN
    RETURN '{}';
  END IF;
  INSERT INTO conversation (conversation_id, last_seq, user_a, user_b)
  SELECT DISTINCT ON (u.pair COLLATE "C") u.pair, 0, u.user_a, u.user_b
    FROM unnest(in_pairs, in_users_a, in_users_b) AS u(pair, user_a, user_b) ORDER BY u.pair COLLATE "C"
  ON CONFLICT DO NOTHING;
  PERFORM FROM conversation c WHERE c.conversation_id = ANY (in_pairs) ORDER BY c.conversation_id FOR NO KEY UPDATE;
  INSERT INTO conversation (conversation_id, last_seq, user_a, user_b, blockers, group_version, subject_type, subject_id)
  SELECT n.id, 0, n.user_a, n.user_b, c.blockers, c.group_version, n.type, n.subject
    FROM (SELECT u.*, row_number() OVER (PARTITION BY u.pair ORDER BY u.place) AS rank
            FROM unnest(in_ids, in_pairs, in_users_a, in_users_b, in_types, in_subjects, in_most)
                 WITH ORDINALITY AS u(id, pair, user_a, user_b, type, subject, most, place)
           WHERE NOT EXISTS (SELECT FROM conversation c WHERE c.conversation_id = u.id)) n
    JOIN conversation c ON c.conversation_id = n.pair
   CROSS JOIN LATERAL (
     -- '`' is the character behind '_'.
     SELECT count(*) AS made FROM (SELECT FROM conversation o
                                    WHERE o.conversation_id >= n.pair || '_' AND o.conversation_id < n.pair || '`' LIMIT n.most) o) m
   WHERE m.made + n.rank <= n.most
   ORDER BY n.id COLLATE "C"
  ON CONFLICT DO NOTHING;
  RETURN ARRAY(SELECT u.id FROM unnest(in_ids) AS u(id)
                WHERE NOT EXISTS (SELECT FROM conversation c WHERE c.conversation_id = u.id));
END $$;
