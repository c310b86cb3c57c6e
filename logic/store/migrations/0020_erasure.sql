-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- Users that are deleted, and what may not be deleted. Times are this server's, bigint milliseconds since 1970.

-- While there is a row, nobody deletes what it is about: a conversation's messages; or what a user sent and has in its inbox, with
-- the conversations that it is in.
CREATE TABLE legal_hold (
  kind       text COLLATE "C" NOT NULL CHECK (kind IN ('conversation', 'user')),
  held_id    text COLLATE "C" NOT NULL,
  tenant     text COLLATE "C" NOT NULL,
  reason     text NOT NULL,
  created_ms bigint NOT NULL,
  hold_id    bigint GENERATED ALWAYS AS IDENTITY,
  PRIMARY KEY (kind, held_id)
);
CREATE INDEX legal_hold_tenant ON legal_hold (tenant, hold_id);

-- Is a message of this conversation, from this sender, to be kept?
CREATE FUNCTION is_held_v1(in_conversation text, in_sender text) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT FROM legal_hold h WHERE h.kind = 'conversation' AND h.held_id = in_conversation)
      OR EXISTS (SELECT FROM legal_hold h WHERE h.kind = 'user' AND h.held_id = in_sender)
      OR EXISTS (SELECT FROM conversation c JOIN legal_hold h ON h.kind = 'user' AND h.held_id IN (c.user_a, c.user_b)
                  WHERE c.conversation_id = in_conversation)
      OR EXISTS (SELECT FROM legal_hold h JOIN conversation_member m ON m.user_id = h.held_id
                  WHERE h.kind = 'user' AND m.conversation_id = in_conversation)
$$;

-- Deletions under way, and done: a row per user until it is made anew. Whoever works on one holds it until due_ms.
CREATE TABLE erasure (
  user_id       text COLLATE "C" PRIMARY KEY,
  state         text NOT NULL CHECK (state IN ('erasing', 'held', 'erased', 'returning')),
  stage         text NOT NULL CHECK (stage IN ('groups', 'account', 'states', 'inbox', 'keys')),
  keep_messages boolean NOT NULL,
  -- Inbox seq up to which the inbox was gone through.
  reached_seq   bigint NOT NULL DEFAULT 0,
  -- Up to where it is to be gone through: its head when that began. 0 = not yet.
  until_seq     bigint NOT NULL DEFAULT 0,
  erased        bigint NOT NULL DEFAULT 0,
  held          bigint NOT NULL DEFAULT 0,
  requested_ms  bigint NOT NULL,
  -- 0 = not yet.
  finished_ms   bigint NOT NULL DEFAULT 0,
  due_ms        bigint NOT NULL,
  -- Counts holds: the number of a hold is its name.
  lease         bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
CREATE INDEX erasure_due ON erasure (due_ms) WHERE state <> 'erased';

-- No token of the user is good from now on, whenever it was issued.
CREATE FUNCTION erasure_request_v1(in_user text, in_keep boolean) RETURNS erasure LANGUAGE plpgsql AS $$
DECLARE
  job erasure;
BEGIN
  INSERT INTO erasure AS e (user_id, state, stage, keep_messages, requested_ms, due_ms)
  VALUES (in_user, 'erasing', 'groups', in_keep, api_now_ms(), api_now_ms())
  ON CONFLICT (user_id) DO UPDATE
     SET state = 'erasing', stage = 'groups', keep_messages = in_keep, reached_seq = 0, until_seq = 0, held = 0, finished_ms = 0,
         requested_ms = excluded.requested_ms, due_ms = excluded.due_ms, lease = e.lease + 1
   -- What was begun goes on; messages that were to be kept may be erased yet.
   WHERE e.state = 'returning' OR (e.keep_messages AND NOT in_keep);
  INSERT INTO user_revocation AS r (user_id, valid_after_ms, version)
  SELECT in_user, 9007199254740991, next_revocation_version()
   WHERE NOT EXISTS (SELECT FROM user_revocation k WHERE k.user_id = in_user AND k.valid_after_ms = 9007199254740991)
  ON CONFLICT (user_id) DO UPDATE SET valid_after_ms = excluded.valid_after_ms, version = excluded.version;
  SELECT * INTO job FROM erasure e WHERE e.user_id = in_user;
  RETURN job;
END $$;

-- One portion of a deletion: at most `in_rows` rows of one kind. outcome: more, rest (done, or nothing to do for now), NULL (it is in
-- other hands). Everybody who writes to a conversation holds its row, so an edit and this do not meet.
CREATE FUNCTION erasure_step_v1(
  in_user text, in_lease bigint, in_rows int, in_lease_ms bigint, in_settle_ms bigint, OUT outcome text, OUT next_stage text
) LANGUAGE plpgsql AS $$
DECLARE
  job erasure;
  now_ms bigint := api_now_ms();
  seqs bigint[];
  conversations text[];
  conv_seqs bigint[];
  times bigint[];
  is_held boolean[];
  last_version bigint;
  part int;
BEGIN
  SELECT * INTO job FROM erasure e WHERE e.user_id = in_user AND e.lease = in_lease AND e.state <> 'erased' FOR UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  outcome := 'more';
  job.due_ms := now_ms + in_lease_ms;

  IF job.stage = 'account' THEN
    DELETE FROM push_binding b USING device d
     WHERE d.user_id = in_user AND b.push_token = push_token_digest(d.push_token) AND b.user_id = in_user;
    DELETE FROM device WHERE user_id = in_user;
    DELETE FROM push_contact WHERE user_id = in_user;
    DELETE FROM push_step WHERE user_id = in_user;
    DELETE FROM push_quota WHERE user_id = in_user;
    DELETE FROM push_owed WHERE user_id = in_user;
    -- Groups that were not made by users have no events.
    DELETE FROM conversation_member WHERE user_id = in_user;
    job.stage := 'states';

  ELSIF job.stage = 'states' THEN
    -- What was read stays, for its peers see it; of groups nothing stays.
    DELETE FROM conversation_state s WHERE s.ctid = ANY (ARRAY(
      SELECT t.ctid FROM conversation_state t JOIN conversation c ON c.conversation_id = t.conversation_id
       WHERE t.user_id = in_user AND c.user_a IS NULL LIMIT in_rows));
    GET DIAGNOSTICS part = ROW_COUNT;
    IF part = 0 THEN
      UPDATE conversation_state s SET pinned = false, archived = false, muted_until_ms = 0 WHERE s.ctid = ANY (ARRAY(
        SELECT t.ctid FROM conversation_state t
         WHERE t.user_id = in_user AND (t.pinned OR t.archived OR t.muted_until_ms > 0) LIMIT in_rows));
      GET DIAGNOSTICS part = ROW_COUNT;
    END IF;
    IF part = 0 THEN
      job.stage := 'inbox';
      -- What its sessions wrote last is in its inbox then.
      IF job.requested_ms + in_settle_ms > now_ms THEN
        outcome := 'rest';
        job.due_ms := job.requested_ms + in_settle_ms;
      END IF;
    END IF;

  ELSIF job.stage = 'inbox' THEN
    LOCK TABLE legal_hold IN SHARE MODE;
    IF job.until_seq = 0 THEN
      -- What others send meanwhile is theirs, however fast they are.
      job.until_seq := coalesce((SELECT h.head FROM inbox_head h WHERE h.user_id = in_user), 0);
    END IF;
    SELECT array_agg(p.seq), array_agg(p.conversation_id), array_agg(p.conv_seq), array_agg(p.created_ms),
           array_agg(is_held_v1(p.conversation_id, in_user))
      INTO seqs, conversations, conv_seqs, times, is_held
      FROM (SELECT i.seq, i.conversation_id, i.conv_seq, i.created_ms FROM inbox i
             WHERE i.user_id = in_user AND i.seq > job.reached_seq AND i.seq <= job.until_seq ORDER BY i.seq LIMIT in_rows) p;
    IF seqs IS NULL THEN
      job.stage := 'keys';
    ELSE
      PERFORM FROM conversation c WHERE c.conversation_id = ANY (conversations) ORDER BY c.conversation_id FOR NO KEY UPDATE;
      IF NOT job.keep_messages THEN
        -- The newest event about a message has its content, too.
        UPDATE message m SET content = substring(m.content FROM 1 FOR b.event_bare)
          FROM unnest(conversations, conv_seqs, times, is_held) AS p(conversation_id, conv_seq, created_ms, is_held)
          JOIN message o ON o.conversation_id = p.conversation_id AND o.seq = p.conv_seq AND o.created_ms = p.created_ms
          JOIN message_change b ON b.conversation_id = p.conversation_id AND b.seq = p.conv_seq
         WHERE NOT p.is_held AND o.sender = in_user
           AND m.conversation_id = b.conversation_id AND m.seq = b.event_seq AND m.created_ms = b.event_ms;
        UPDATE message_change b SET version = 9007199254740991
          FROM unnest(conversations, conv_seqs, times, is_held) AS p(conversation_id, conv_seq, created_ms, is_held)
          JOIN message o ON o.conversation_id = p.conversation_id AND o.seq = p.conv_seq AND o.created_ms = p.created_ms
         WHERE NOT p.is_held AND o.sender = in_user AND b.conversation_id = p.conversation_id AND b.seq = p.conv_seq;
        DELETE FROM card_ref r
         USING unnest(conversations, conv_seqs, times, is_held) AS p(conversation_id, conv_seq, created_ms, is_held)
          JOIN message o ON o.conversation_id = p.conversation_id AND o.seq = p.conv_seq AND o.created_ms = p.created_ms
         WHERE NOT p.is_held AND o.sender = in_user AND r.conversation_id = p.conversation_id AND r.seq = p.conv_seq;
        UPDATE message m SET content = '', content_type = 'im/recalled'
          FROM unnest(conversations, conv_seqs, times, is_held) AS p(conversation_id, conv_seq, created_ms, is_held)
         WHERE NOT p.is_held AND m.conversation_id = p.conversation_id AND m.seq = p.conv_seq
           AND m.created_ms = p.created_ms AND m.sender = in_user
           AND (m.content_type NOT LIKE 'im/%' OR split_part(m.content_type, ';im-version=', 1) = 'im/card');
        GET DIAGNOSTICS part = ROW_COUNT;
        job.erased := job.erased + part;
      END IF;
      -- Whoever has the id later reads nothing from before.
      INSERT INTO conversation_state_head (user_id, version) VALUES (in_user, 0) ON CONFLICT DO NOTHING;
      SELECT h.version INTO last_version FROM conversation_state_head h WHERE h.user_id = in_user FOR UPDATE;
      INSERT INTO conversation_state AS s (user_id, conversation_id, deleted_to_seq, version)
      SELECT in_user, n.conversation_id, n.last_seq, last_version + row_number() OVER (ORDER BY n.conversation_id)
        FROM (SELECT c.conversation_id, c.last_seq FROM conversation c
               WHERE c.conversation_id = ANY (conversations) AND c.user_a IS NOT NULL
                 AND NOT EXISTS (SELECT FROM conversation_state k WHERE k.user_id = in_user
                                    AND k.conversation_id = c.conversation_id AND k.deleted_to_seq >= c.last_seq)) n
      ON CONFLICT (user_id, conversation_id) DO UPDATE
         SET deleted_to_seq = excluded.deleted_to_seq, version = excluded.version;
      GET DIAGNOSTICS part = ROW_COUNT;
      UPDATE conversation_state_head h SET version = last_version + part WHERE h.user_id = in_user;
      DELETE FROM inbox i
       USING unnest(seqs, times, is_held) AS p(seq, created_ms, is_held)
       WHERE NOT p.is_held AND i.user_id = in_user AND i.seq = p.seq AND i.created_ms = p.created_ms;
      job.held := job.held + (SELECT count(*) FROM unnest(is_held) AS h(held) WHERE h.held);
      job.reached_seq := seqs[cardinality(seqs)];
    END IF;

  ELSIF job.stage = 'keys' THEN
    DELETE FROM idempotency k
     WHERE k.ctid = ANY (ARRAY(SELECT o.ctid FROM idempotency o WHERE o.sender = in_user LIMIT in_rows));
    GET DIAGNOSTICS part = ROW_COUNT;
    IF part = 0 THEN
      DELETE FROM card_action a
       WHERE a.ctid = ANY (ARRAY(SELECT o.ctid FROM card_action o WHERE o.user_id = in_user LIMIT in_rows));
      GET DIAGNOSTICS part = ROW_COUNT;
    END IF;
    IF part = 0 AND job.held > 0 THEN
      -- Once more when a hold is released, and now and then in any case.
      job.state := 'held';
      job.stage := 'inbox';
      job.reached_seq := 0;
      job.until_seq := 0;
      job.held := 0;
      job.due_ms := now_ms + 3600000;
      outcome := 'rest';
    ELSIF part = 0 AND job.state = 'returning' THEN
      UPDATE user_revocation r SET valid_after_ms = now_ms, version = next_revocation_version() WHERE r.user_id = in_user;
      DELETE FROM erasure e WHERE e.user_id = in_user;
      outcome := 'rest';
    ELSIF part = 0 THEN
      job.state := 'erased';
      job.finished_ms := now_ms;
      outcome := 'rest';
    END IF;
  END IF;

  UPDATE erasure e
     SET state = job.state, stage = job.stage, reached_seq = job.reached_seq, until_seq = job.until_seq, erased = job.erased, held = job.held,
         finished_ms = job.finished_ms, due_ms = job.due_ms
   WHERE e.user_id = in_user;
  next_stage := job.stage;
END $$;
