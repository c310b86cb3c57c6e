-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- What a user keeps of a conversation. A row exists once the user, or the reading of its peer, changed something: messages touch none,
-- and what is unread follows from the seqs.
CREATE TABLE conversation_state (
  user_id         text COLLATE "C" NOT NULL,
  conversation_id text COLLATE "C" NOT NULL,
  read_seq        bigint NOT NULL DEFAULT 0,
  deleted_to_seq  bigint NOT NULL DEFAULT 0,
  pinned          boolean NOT NULL DEFAULT false,
  archived        boolean NOT NULL DEFAULT false,
  muted_until_ms  bigint NOT NULL DEFAULT 0,
  version         bigint NOT NULL,
  PRIMARY KEY (user_id, conversation_id)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX conversation_state_version ON conversation_state (user_id, version);
CREATE INDEX conversation_state_pinned ON conversation_state (user_id, conversation_id) WHERE pinned;

-- The newest version of a user. Every writer of the user's rows holds this row's lock, so versions become visible in their order.
CREATE TABLE conversation_state_head (
  user_id text COLLATE "C" PRIMARY KEY,
  version bigint NOT NULL
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);

-- Changes of a batch, one after the other, in one transaction. -1 = leave it as it is. Seqs never go back, nor past the last message.
-- A change that changes nothing takes no version. Reading tells the peer of a one-to-one conversation: its row gets a version, too.
-- All users concerned are locked first, in the order of their ids, so batches do not deadlock.
-- outcome: 0 no member, or no such conversation; 1 as it was; 2 changed; 3 too many are pinned.
CREATE FUNCTION conversation_change_v1(
  in_users text[], in_conversations text[], in_read bigint[], in_deleted bigint[],
  in_pinned int[], in_archived int[], in_muted_ms bigint[], in_max_pinned int
) RETURNS TABLE (
  outcome int, peer text, peer_version bigint, read_seq bigint, deleted_to_seq bigint,
  pinned boolean, archived boolean, muted_until_ms bigint, version bigint
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  concerned text[];
  head record;
  was conversation_state;
  become conversation_state;
BEGIN
  SELECT array_agg(DISTINCT u.id ORDER BY u.id) INTO concerned
    FROM (SELECT unnest(in_users) COLLATE "C" AS id
           UNION ALL
          SELECT CASE r.user_id WHEN c.user_a THEN c.user_b ELSE c.user_a END
            FROM unnest(in_users, in_conversations, in_read) AS r(user_id, conversation_id, read_seq)
            JOIN conversation c ON c.conversation_id = r.conversation_id AND r.user_id IN (c.user_a, c.user_b)
           WHERE r.read_seq >= 0) u;
  INSERT INTO conversation_state_head (user_id, version)
  SELECT u.id, 0 FROM unnest(concerned) AS u(id)
   WHERE NOT EXISTS (SELECT FROM conversation_state_head h WHERE h.user_id = u.id)
   ORDER BY u.id COLLATE "C"
  ON CONFLICT DO NOTHING;
  PERFORM FROM conversation_state_head h WHERE h.user_id = ANY (concerned) ORDER BY h.user_id FOR UPDATE;

  FOR i IN 1 .. cardinality(in_users) LOOP
    outcome := 0;
    peer := NULL;
    peer_version := 0;
    SELECT c.last_seq, c.user_a, c.user_b INTO head
      FROM conversation c
     WHERE c.conversation_id = in_conversations[i]
       AND CASE WHEN c.user_a IS NULL
                THEN EXISTS (SELECT FROM conversation_member m
                              WHERE m.conversation_id = c.conversation_id AND m.user_id = in_users[i])
                ELSE in_users[i] IN (c.user_a, c.user_b) END;
    IF FOUND THEN
      SELECT s.* INTO was FROM conversation_state s
       WHERE s.user_id = in_users[i] AND s.conversation_id = in_conversations[i];
      IF NOT FOUND THEN
        was := (in_users[i], in_conversations[i], 0, 0, false, false, 0, 0);
      END IF;
      become := was;
      become.read_seq := greatest(was.read_seq, least(in_read[i], head.last_seq));
      become.deleted_to_seq := greatest(was.deleted_to_seq, least(in_deleted[i], head.last_seq));
      IF in_pinned[i] >= 0 THEN become.pinned := in_pinned[i] = 1; END IF;
      IF in_archived[i] >= 0 THEN become.archived := in_archived[i] = 1; END IF;
      IF in_muted_ms[i] >= 0 THEN become.muted_until_ms := in_muted_ms[i]; END IF;
      IF become.pinned AND NOT was.pinned AND in_max_pinned <= (
           SELECT count(*) FROM conversation_state s WHERE s.user_id = in_users[i] AND s.pinned) THEN
        outcome := 3;
        become := was;
      ELSIF become IS NOT DISTINCT FROM was THEN
        outcome := 1;
      ELSE
        outcome := 2;
        UPDATE conversation_state_head h SET version = h.version + 1
         WHERE h.user_id = in_users[i] RETURNING h.version INTO become.version;
        INSERT INTO conversation_state AS s SELECT become.*
        ON CONFLICT (user_id, conversation_id) DO UPDATE
           SET (read_seq, deleted_to_seq, pinned, archived, muted_until_ms, version) =
               (excluded.read_seq, excluded.deleted_to_seq, excluded.pinned, excluded.archived, excluded.muted_until_ms,
                excluded.version);
        IF become.read_seq > was.read_seq AND head.user_a <> head.user_b THEN
          peer := CASE in_users[i] WHEN head.user_a THEN head.user_b ELSE head.user_a END;
          UPDATE conversation_state_head h SET version = h.version + 1
           WHERE h.user_id = peer RETURNING h.version INTO peer_version;
          INSERT INTO conversation_state AS s (user_id, conversation_id, version)
          VALUES (peer, in_conversations[i], peer_version)
          ON CONFLICT (user_id, conversation_id) DO UPDATE SET version = excluded.version;
        END IF;
      END IF;
      read_seq := become.read_seq;
      deleted_to_seq := become.deleted_to_seq;
      pinned := become.pinned;
      archived := become.archived;
      muted_until_ms := become.muted_until_ms;
      version := become.version;
    END IF;
    RETURN NEXT;
  END LOOP;
END $$;
