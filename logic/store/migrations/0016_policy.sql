-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- Messages that only their sender sees, blocks, reports and appeals.

-- '' = everybody in the conversation; else the one user for whom it is there. It has a seq like any other, so others see a hole at
-- most; an empty text costs a row one byte.
ALTER TABLE message ADD COLUMN only_for text COLLATE "C" NOT NULL DEFAULT '';

-- While `hidden_seq` is the last seq, everything above `shown_seq` is for single users, the last of whom is `hidden_for`: for all
-- others the conversation ends at `shown_seq`. Any other message ends this without touching it.
-- `blockers`: who of a pair has blocked the other; NULL as long as nobody has. Who changes it raises `group_version`, so that an
-- append that looked before can tell.
ALTER TABLE conversation
  ADD COLUMN shown_seq bigint, ADD COLUMN hidden_seq bigint, ADD COLUMN hidden_for text COLLATE "C",
  ADD COLUMN blockers text[];

-- Marks messages that were appended in the same transaction: seq = counter of the conversation + back, in ascending order.
CREATE FUNCTION hide_appended_v1(
  in_ids text[], in_last_seqs bigint[], in_index int[], in_back int[], in_ms bigint[], in_users text[]
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  at_seq bigint;
BEGIN
  FOR i IN 1 .. coalesce(cardinality(in_index), 0) LOOP
    at_seq := in_last_seqs[in_index[i]] + in_back[i];
    UPDATE message m SET only_for = in_users[i]
     WHERE m.conversation_id = in_ids[in_index[i]] AND m.seq = at_seq AND m.created_ms = in_ms[i];
    UPDATE conversation c
       SET shown_seq = CASE WHEN c.hidden_seq = at_seq - 1 THEN c.shown_seq ELSE at_seq - 1 END,
           hidden_seq = at_seq, hidden_for = in_users[i]
     WHERE c.conversation_id = in_ids[in_index[i]];
  END LOOP;
  RETURN true;
END $$;

-- The last seq of a conversation as a user sees it, when its last message is for one user only. Those for the user among the newest
-- 100 are looked for.
CREATE FUNCTION seen_last_seq_v1(in_conversation conversation, in_user text) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN in_conversation.hidden_seq IS DISTINCT FROM in_conversation.last_seq
                OR in_conversation.hidden_for = in_user THEN in_conversation.last_seq
              ELSE coalesce((SELECT m.seq FROM message m
                              WHERE m.conversation_id = in_conversation.conversation_id AND m.only_for = in_user
                                AND m.seq > greatest(in_conversation.shown_seq, in_conversation.last_seq - 100)
                              ORDER BY m.seq DESC LIMIT 1), in_conversation.shown_seq) END
$$;

-- Whom a user has blocked, and the version of that list: every writer holds the head's lock.
CREATE TABLE user_block (
  user_id    text COLLATE "C" NOT NULL,
  blocked_id text COLLATE "C" NOT NULL,
  created_ms bigint NOT NULL,
  PRIMARY KEY (user_id, blocked_id)
);
CREATE INDEX user_block_blocked ON user_block (blocked_id, user_id);
CREATE TABLE user_block_head (
  user_id text COLLATE "C" PRIMARY KEY,
  version bigint NOT NULL
) WITH (fillfactor = 60);

-- Blocks or unblocks users, each with the one-to-one conversation given beside it, whose row it locks and makes if need be: an
-- append either comes before or sees it. Conversations are locked in the order of their ids, as appends do.
-- outcome: 0 as it was, 1 changed, 2 too many are blocked.
CREATE FUNCTION change_blocks_v1(
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
  END LOOP;
  UPDATE user_block_head h SET version = h.version + 1 WHERE h.user_id = in_user RETURNING h.version INTO version;
  outcome := 1;
END $$;

-- append_v1 as before, but for pairs of whom one has blocked the other, when their conversation is given with its users: it fails, and
-- undoes the append. Whoever has looked who blocks whom gives it without users, as a group, and has its version compared.
CREATE OR REPLACE FUNCTION append_v1(
  conversation_ids text[], conversation_counts int[], users_a text[], users_b text[],
  inbox_ids text[], inbox_counts int[],
  message_conversation int[], message_back int[], message_ids uuid[], senders text[], client_ids text[], hashes bytea[],
  content_types text[], contents bytea[], sent_ms bigint[],
  sender_inbox int[], sender_back int[],
  row_inbox int[], row_back int[], row_message int[],
  OUT last_seqs bigint[], OUT heads bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
  updated int[];
  is_any_blocked boolean;
BEGIN
  -- An acknowledged message must survive a crash, whatever the server's default is.
  IF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;

  WITH locked AS (
    INSERT INTO conversation AS c (conversation_id, last_seq, user_a, user_b)
    SELECT unnest(conversation_ids), unnest(conversation_counts), unnest(users_a), unnest(users_b)
    ON CONFLICT (conversation_id) DO UPDATE SET last_seq = c.last_seq + excluded.last_seq
    RETURNING c.last_seq, c.blockers IS NOT NULL AS is_blocked
  )
  SELECT array_agg(l.last_seq), bool_or(l.is_blocked) INTO last_seqs, is_any_blocked FROM locked l;
  IF is_any_blocked AND EXISTS (
       SELECT FROM unnest(conversation_ids, users_a) AS u(id, user_a) JOIN conversation c ON c.conversation_id = u.id
        WHERE u.user_a IS NOT NULL AND c.blockers IS NOT NULL) THEN
    RAISE EXCEPTION 'one of a pair has blocked the other' USING ERRCODE = 'IM002';
  END IF;

  INSERT INTO message (conversation_id, seq, created_ms, message_id, sender, client_message_id, content_type, content)
  SELECT conversation_ids[m.c], last_seqs[m.c] + m.back, m.ms, m.id, m.sender, m.client_id, m.content_type, m.content
    FROM (SELECT unnest(message_conversation) AS c, unnest(message_back) AS back, unnest(sent_ms) AS ms,
                 unnest(message_ids) AS id, unnest(senders) AS sender, unnest(client_ids) AS client_id,
                 unnest(content_types) AS content_type, unnest(contents) AS content) m;

  -- Nearly all inboxes exist: a plain update is cheaper than an upsert. New ones come after all locks of old ones.
  WITH locked AS (
    UPDATE inbox_head h SET head = h.head + u.added
      FROM (SELECT unnest(inbox_ids) AS id, unnest(inbox_counts) AS added, generate_subscripts(inbox_ids, 1) AS i) u
     WHERE h.user_id = u.id
    RETURNING u.i, h.head
  )
  SELECT array_agg(l.i), array_agg(l.head) INTO updated, heads FROM locked l;
  IF updated IS NULL OR cardinality(updated) < cardinality(inbox_ids) THEN
    INSERT INTO inbox_head AS h (user_id, head)
    SELECT inbox_ids[u.i], inbox_counts[u.i]
      FROM (SELECT generate_subscripts(inbox_ids, 1) AS i EXCEPT SELECT unnest(updated)) u ORDER BY u.i
    ON CONFLICT (user_id) DO UPDATE SET head = h.head + excluded.head;
    SELECT array_agg(h.head ORDER BY u.i) INTO heads
      FROM unnest(inbox_ids) WITH ORDINALITY AS u(id, i) JOIN inbox_head h ON h.user_id = u.id;
  END IF;

  INSERT INTO inbox (user_id, seq, conversation_id, conv_seq, created_ms)
  SELECT inbox_ids[r.i], heads[r.i] + r.back, conversation_ids[message_conversation[r.m]],
         last_seqs[message_conversation[r.m]] + message_back[r.m], sent_ms[r.m]
    FROM (SELECT unnest(row_inbox) AS i, unnest(row_back) AS back, unnest(row_message) AS m) r;

  INSERT INTO idempotency (sender, client_message_id, payload_hash, message_id, conversation_id, conv_seq,
                           sender_inbox_seq, created_ms)
  SELECT k.sender, k.client_id, k.hash, k.id, conversation_ids[k.c], last_seqs[k.c] + k.back, heads[k.i] + k.inbox_back,
         k.ms
    FROM (SELECT unnest(senders) AS sender, unnest(client_ids) AS client_id, unnest(hashes) AS hash,
                 unnest(message_ids) AS id, unnest(message_conversation) AS c, unnest(message_back) AS back,
                 unnest(sender_inbox) AS i, unnest(sender_back) AS inbox_back, unnest(sent_ms) AS ms) k;
END $$;

-- conversation_change_v1 as before, but: a pair has no conversation before its first message (a block makes the row), and where one
-- has blocked the other nobody is told who has read what.
CREATE OR REPLACE FUNCTION conversation_change_v1(
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
    SELECT CASE WHEN c.hidden_seq IS DISTINCT FROM c.last_seq THEN c.last_seq ELSE seen_last_seq_v1(c, in_users[i]) END AS last_seq,
           c.user_a, c.user_b, c.blockers INTO head
      FROM conversation c
     WHERE c.conversation_id = in_conversations[i]
       AND CASE WHEN c.user_a IS NULL
                THEN EXISTS (SELECT FROM conversation_member m
                              WHERE m.conversation_id = c.conversation_id AND m.user_id = in_users[i])
                ELSE in_users[i] IN (c.user_a, c.user_b) AND c.last_seq > 0 END;
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
        IF become.read_seq > was.read_seq AND head.user_a <> head.user_b AND head.blockers IS NULL THEN
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

-- change_v1 as before, but: what one user alone sees is changed by that one, for that one.
CREATE OR REPLACE FUNCTION change_v1(
  in_kind text, in_sender text, in_client_id text, in_hash bytea, in_conversation text, in_seq bigint, in_message uuid,
  -- edit: the version that is changed; card: unused. in_version: the one it gets.
  in_base bigint, in_version bigint, in_ref text, in_content bytea, in_oldest_ms bigint,
  in_event uuid, in_bare bytea, in_tail bytea, in_at_ms bigint,
  OUT outcome text, OUT version bigint, OUT event_id uuid, OUT event_seq bigint, OUT event_ms bigint,
  OUT user_ids text[], OUT inbox_seqs bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
  known idempotency;
  target message;
  before message_change;
  joined bigint;
  base_type text;
  appended record;
  people int;
BEGIN
  -- The first look is for strangers and for repetitions; the second one holds.
  FOR attempt IN 1..2 LOOP
    SELECT * INTO known FROM idempotency k WHERE k.sender = in_sender AND k.client_message_id = in_client_id;
    IF FOUND THEN
      outcome := CASE WHEN known.payload_hash = in_hash THEN 'duplicate' ELSE 'key-taken' END;
      version := in_version;
      event_id := known.message_id;
      event_seq := known.conv_seq;
      event_ms := known.created_ms;
      RETURN;
    END IF;
    SELECT CASE WHEN in_kind = 'card' THEN 0
                WHEN c.user_a IS NULL THEN (SELECT m.joined_seq FROM conversation_member m
                                             WHERE m.conversation_id = in_conversation AND m.user_id = in_sender)
                WHEN in_sender IN (c.user_a, c.user_b) AND c.last_seq > 0 THEN 0 END
      INTO joined FROM conversation c WHERE c.conversation_id = in_conversation;
    IF joined IS NULL THEN
      outcome := 'not-member';
      RETURN;
    END IF;
    EXIT WHEN attempt = 2;
    SELECT CASE WHEN c.user_a IS NULL THEN NULL WHEN c.user_a = c.user_b THEN ARRAY[c.user_a]
                WHEN c.user_a < c.user_b THEN ARRAY[c.user_a, c.user_b] ELSE ARRAY[c.user_b, c.user_a] END
      INTO user_ids FROM conversation c WHERE c.conversation_id = in_conversation FOR NO KEY UPDATE;
  END LOOP;

  SELECT * INTO target FROM message m
   WHERE m.conversation_id = in_conversation AND m.seq = in_seq AND m.seq > joined AND m.message_id = in_message
     AND (in_kind = 'card' OR m.only_for IN ('', in_sender));
  base_type := split_part(target.content_type, ';im-version=', 1);
  SELECT * INTO before FROM message_change b WHERE b.conversation_id = in_conversation AND b.seq = in_seq;
  version := coalesce(before.version, 1);
  IF in_kind = 'card' THEN
    SELECT r.version INTO version FROM card_ref r
     WHERE r.conversation_id = in_conversation AND r.ref = in_ref AND r.seq = in_seq;
  END IF;
  outcome := CASE
    WHEN target.seq IS NULL OR (in_kind = 'card' AND (version IS NULL OR base_type <> 'im/card')) THEN 'no-message'
    WHEN in_kind = 'card' AND version >= in_version THEN 'version'
    WHEN in_kind = 'card' THEN 'changed'
    WHEN target.sender <> in_sender THEN 'not-yours'
    WHEN base_type = 'im/recalled' THEN CASE in_kind WHEN 'recall' THEN 'recalled' ELSE 'version' END
    WHEN base_type LIKE 'im/%' AND NOT (in_kind = 'recall' AND base_type = 'im/card') THEN 'fixed'
    WHEN target.created_ms < in_oldest_ms THEN 'late'
    -- Whoever is blocked may take back what the other one has, but say nothing new by it.
    WHEN in_kind = 'edit' AND target.only_for = '' AND EXISTS (
           SELECT FROM conversation c
            WHERE c.conversation_id = in_conversation AND array_remove(c.blockers, in_sender) <> '{}') THEN 'late'
    WHEN in_kind = 'edit' AND version <> in_base THEN 'version'
    ELSE 'changed' END;
  IF outcome <> 'changed' THEN
    user_ids := NULL;
    RETURN;
  END IF;

  IF user_ids IS NULL THEN
    user_ids := ARRAY(SELECT m.user_id FROM conversation_member m WHERE m.conversation_id = in_conversation
                       ORDER BY m.user_id);
  END IF;
  -- What one user alone sees changes for that one.
  IF target.only_for <> '' THEN
    user_ids := ARRAY[target.only_for];
  END IF;
  people := cardinality(user_ids);
  UPDATE message m
     SET content_type = CASE in_kind WHEN 'recall' THEN 'im/recalled'
                                     ELSE coalesce(nullif(base_type, ''), 'text/plain') || ';im-version=' || in_version END,
         content = in_content
   WHERE m.conversation_id = in_conversation AND m.seq = in_seq AND m.created_ms = target.created_ms;
  -- Retention took it, or everybody left.
  IF NOT FOUND OR people = 0 THEN
    outcome := 'no-message';
    user_ids := NULL;
    RETURN;
  END IF;
  -- Of a message there is one content, wherever it is read.
  UPDATE message m SET content = substring(m.content FROM 1 FOR before.event_bare)
   WHERE m.conversation_id = in_conversation AND m.seq = before.event_seq AND m.created_ms = before.event_ms;

  -- Who is no member (a service) has no inbox here: the number that its key keeps is somebody's, and nobody asks for it.
  SELECT * INTO appended FROM append_v1(
    ARRAY[in_conversation], ARRAY[1], ARRAY[NULL]::text[], ARRAY[NULL]::text[],
    user_ids, array_fill(1, ARRAY[people]),
    ARRAY[1], ARRAY[0], ARRAY[in_event], ARRAY[in_sender], ARRAY[in_client_id], ARRAY[in_hash],
    ARRAY['im/change'], ARRAY[in_bare || in_tail], ARRAY[in_at_ms],
    ARRAY[coalesce(array_position(user_ids, in_sender), 1)], ARRAY[0],
    ARRAY(SELECT generate_series(1, people)), array_fill(0, ARRAY[people]), array_fill(1, ARRAY[people]));
  IF target.only_for <> '' THEN
    PERFORM hide_appended_v1(ARRAY[in_conversation], appended.last_seqs, ARRAY[1], ARRAY[0], ARRAY[in_at_ms], ARRAY[target.only_for]);
  END IF;
  version := in_version;
  event_id := in_event;
  event_seq := appended.last_seqs[1];
  event_ms := in_at_ms;
  inbox_seqs := appended.heads;

  INSERT INTO message_change AS b (conversation_id, seq, created_ms, version, event_seq, event_ms, event_bare)
  VALUES (in_conversation, in_seq, target.created_ms, in_version, appended.last_seqs[1], in_at_ms, octet_length(in_bare))
  ON CONFLICT (conversation_id, seq) DO UPDATE
     SET version = excluded.version, event_seq = excluded.event_seq, event_ms = excluded.event_ms,
         event_bare = excluded.event_bare;
  IF in_kind = 'card' THEN
    UPDATE card_ref r SET version = in_version WHERE r.conversation_id = in_conversation AND r.ref = in_ref;
  ELSIF base_type = 'im/card' THEN
    DELETE FROM card_ref r WHERE r.conversation_id = in_conversation AND r.seq = in_seq;
  END IF;
END $$;

-- That the users of a one-to-one conversation have an order, as the shop says: rules may be relaxed by it.
CREATE TABLE conversation_order (
  conversation_id text COLLATE "C" NOT NULL,
  order_ref       text COLLATE "C" NOT NULL,
  created_ms      bigint NOT NULL,
  PRIMARY KEY (conversation_id, order_ref)
);
CREATE INDEX conversation_order_created ON conversation_order (created_ms);

-- Reports and appeals of users, with what they are about as it was then.
CREATE TABLE report (
  tenant          text COLLATE "C" NOT NULL,
  number          bigint GENERATED ALWAYS AS IDENTITY,
  reporter        text COLLATE "C" NOT NULL,
  report_id       text COLLATE "C" NOT NULL,
  kind            text NOT NULL CHECK (kind IN ('message', 'user', 'appeal')),
  reported        text COLLATE "C" NOT NULL,
  conversation_id text COLLATE "C" NOT NULL,
  conv_seq        bigint NOT NULL,
  message_id      text NOT NULL,
  reason          text NOT NULL,
  body            text NOT NULL,
  rule            text NOT NULL,
  -- JSON: messages around it, or what was refused.
  context         text NOT NULL,
  created_ms      bigint NOT NULL,
  -- 0 = it is open.
  resolved_ms     bigint NOT NULL DEFAULT 0,
  resolution      text NOT NULL DEFAULT '',
  note            text NOT NULL DEFAULT '',
  PRIMARY KEY (tenant, number)
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX report_key ON report (reporter, report_id);
CREATE INDEX report_open ON report (tenant, number) WHERE resolved_ms = 0;
CREATE INDEX report_created ON report (created_ms);
