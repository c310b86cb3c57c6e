-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- 0027 gave change_v1 another meaning under its name: logic from before it runs on this schema during an upgrade, and after a rollback
-- of the images, and does not tell members of large groups of changes that are in no inbox but one.

-- change_v1 of 0027, when the caller says that it tells them; else every member has a pointer, as before 0027.
CREATE FUNCTION change_v2(
  in_kind text, in_sender text, in_client_id text, in_hash bytea, in_conversation text, in_seq bigint, in_message uuid,
  -- edit: the version that is changed; card: unused. in_version: the one it gets.
  in_base bigint, in_version bigint, in_ref text, in_content bytea, in_oldest_ms bigint,
  in_event uuid, in_bare bytea, in_tail bytea, in_at_ms bigint,
  -- The caller tells whoever is online of changes in large groups.
  in_tells_large boolean,
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
  is_large boolean;
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
    SELECT in_tells_large AND c.large_seq IS NOT NULL INTO is_large FROM conversation c WHERE c.conversation_id = in_conversation;
    IF is_large THEN
      user_ids := ARRAY(SELECT m.user_id FROM conversation_member m
                         WHERE m.conversation_id = in_conversation AND m.user_id IN (in_sender, target.sender)
                         ORDER BY m.user_id <> in_sender LIMIT 1);
      -- A service changes the card of somebody who left.
      IF user_ids = '{}' THEN
        user_ids := ARRAY(SELECT m.user_id FROM conversation_member m WHERE m.conversation_id = in_conversation
                           ORDER BY m.user_id LIMIT 1);
      END IF;
    ELSE
      user_ids := ARRAY(SELECT m.user_id FROM conversation_member m WHERE m.conversation_id = in_conversation
                         ORDER BY m.user_id);
    END IF;
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

-- As older logic knows it.
CREATE OR REPLACE FUNCTION change_v1(
  in_kind text, in_sender text, in_client_id text, in_hash bytea, in_conversation text, in_seq bigint, in_message uuid,
  -- edit: the version that is changed; card: unused. in_version: the one it gets.
  in_base bigint, in_version bigint, in_ref text, in_content bytea, in_oldest_ms bigint,
  in_event uuid, in_bare bytea, in_tail bytea, in_at_ms bigint,
  OUT outcome text, OUT version bigint, OUT event_id uuid, OUT event_seq bigint, OUT event_ms bigint,
  OUT user_ids text[], OUT inbox_seqs bigint[]
) LANGUAGE sql AS $$
  SELECT * FROM change_v2(in_kind, in_sender, in_client_id, in_hash, in_conversation, in_seq, in_message, in_base,
                          in_version, in_ref, in_content, in_oldest_ms, in_event, in_bare, in_tail, in_at_ms, false)
$$;
