-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- Messages that change after they were sent: recalled, edited, and cards that follow what they show. The message's own row
-- always has its newest content, so that whoever reads it later reads no old one; everybody else learns by an event, a
-- message of the conversation like any other. Rows exist here only for what did change.

-- Per changed message: its version, and the newest event about it, whose content goes when the next one comes.
CREATE TABLE message_change (
  conversation_id text COLLATE "C" NOT NULL,
  seq             bigint NOT NULL,
  created_ms      bigint NOT NULL,
  version         bigint NOT NULL,
  event_seq       bigint NOT NULL,
  event_ms        bigint NOT NULL,
  -- The first bytes of the event's content, which say everything but the message's content.
  event_bare      int NOT NULL,
  PRIMARY KEY (conversation_id, seq)
) WITH (fillfactor = 70);
CREATE INDEX message_change_created ON message_change (created_ms);

-- The newest card of a conversation that shows a thing (an item, an order, an offer): the one that its updates change.
CREATE TABLE card_ref (
  conversation_id text COLLATE "C" NOT NULL,
  ref             text COLLATE "C" NOT NULL,
  seq             bigint NOT NULL,
  created_ms      bigint NOT NULL,
  version         bigint NOT NULL,
  PRIMARY KEY (conversation_id, ref)
) WITH (fillfactor = 70);
CREATE INDEX card_ref_created ON card_ref (created_ms);

-- Changes one message and appends the event, or says why not; see ChangeOrder in changes.ts. Whatever changes a message of a
-- conversation holds the lock of its row, as every append does, so that events are numbered in the order of the versions. No
-- lock is waited for by somebody who may not have it.
CREATE FUNCTION change_v1(
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
                WHEN in_sender IN (c.user_a, c.user_b) THEN 0 END
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
   WHERE m.conversation_id = in_conversation AND m.seq = in_seq AND m.seq > joined AND m.message_id = in_message;
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

-- What a press on a button of a card came to: once per (card, action, user, key of the press), whatever comes again.
CREATE TABLE card_action (
  user_id         text COLLATE "C" NOT NULL,
  client_key      text COLLATE "C" NOT NULL,
  conversation_id text COLLATE "C" NOT NULL,
  seq             bigint NOT NULL,
  action          text COLLATE "C" NOT NULL,
  input_hash      bytea NOT NULL,
  created_ms      bigint NOT NULL,
  -- Somebody asks the backend until then; NULL: it has answered.
  leased_until    timestamptz,
  status          int,
  answer          bytea,
  PRIMARY KEY (user_id, client_key, conversation_id, seq, action)
) WITH (fillfactor = 70);
CREATE INDEX card_action_created ON card_action (created_ms);

-- Deletes up to `max_rows` of each of the three tables that are about messages from before `cutoff_ms`; returns how many in all.
CREATE FUNCTION retention_changes_v1(cutoff_ms bigint, max_rows int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  deleted int := 0;
  part int;
  target text;
BEGIN
  FOREACH target IN ARRAY ARRAY['message_change', 'card_ref', 'card_action'] LOOP
    EXECUTE format('DELETE FROM %I t WHERE t.ctid = ANY (ARRAY(
                      SELECT o.ctid FROM %I o WHERE o.created_ms < $1 ORDER BY o.created_ms LIMIT $2))', target, target)
      USING cutoff_ms, max_rows;
    GET DIAGNOSTICS part = ROW_COUNT;
    deleted := deleted + part;
  END LOOP;
  RETURN deleted;
END $$;
