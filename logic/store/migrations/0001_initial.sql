-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- Every key starts with a distribution column (user_id, conversation_id, sender), so that the tables can be spread
-- over several servers later. Ids are compared byte by byte (COLLATE "C"): fast, and the same order on every server,
-- which the lock order of append_v1 relies on. Times that take part in keys are bigint milliseconds since 1970.

CREATE TABLE store_meta (
  only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  inbox_epoch uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO store_meta DEFAULT VALUES;
COMMENT ON COLUMN store_meta.inbox_epoch IS 'Change it after restoring an old backup: clients then drop their cursors.';

-- Entries: one row per start of an entry process.
CREATE SEQUENCE entry_number;
CREATE TABLE entry (
  incarnation   text COLLATE "C" PRIMARY KEY,
  pod_uid       text COLLATE "C" NOT NULL,
  pod_name      text NOT NULL,
  version       text NOT NULL,
  dead          boolean NOT NULL DEFAULT false,
  registered_at timestamptz NOT NULL DEFAULT now(),
  fenced_at     timestamptz
);
CREATE INDEX entry_pod_uid ON entry (pod_uid);

-- Logins: login_seq orders the logins of one (user, slot) and fences the older sessions.
CREATE TABLE session_slot (
  user_id   text COLLATE "C" NOT NULL,
  slot      text COLLATE "C" NOT NULL,
  login_seq bigint NOT NULL,
  PRIMARY KEY (user_id, slot)
) WITH (fillfactor = 70);

CREATE TABLE device (
  user_id       text COLLATE "C" NOT NULL,
  device_id     text COLLATE "C" NOT NULL,
  slot          text COLLATE "C" NOT NULL,
  login_seq     bigint NOT NULL,
  acked_seq     bigint NOT NULL DEFAULT 0,
  platform      text NOT NULL,
  device_name   text NOT NULL,
  app_version   text NOT NULL,
  push_provider text NOT NULL DEFAULT '',
  push_token    text NOT NULL DEFAULT '',
  first_login   timestamptz NOT NULL DEFAULT now(),
  last_login    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, device_id)
) WITH (fillfactor = 70);

-- Conversations. last_seq is taken under the row's lock in the message's own transaction: gapless, in commit order.
-- The two users of a one-to-one conversation are columns, because most new conversations are one-to-one and rows of
-- conversation_member would double what their first message costs; in a group both are NULL and the members are rows.
CREATE TABLE conversation (
  conversation_id text COLLATE "C" PRIMARY KEY,
  last_seq        bigint NOT NULL,
  user_a          text COLLATE "C",
  user_b          text COLLATE "C",
  created_at      timestamptz NOT NULL DEFAULT now(),
  CHECK ((user_a IS NULL) = (user_b IS NULL))
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);

CREATE TABLE conversation_member (
  conversation_id text COLLATE "C" NOT NULL,
  user_id         text COLLATE "C" NOT NULL,
  joined_at       timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (conversation_id, user_id)
);

-- Messages, a partition per month: retention drops partitions. The default partition takes what has no month yet,
-- so that an insert never fails for the lack of one.
CREATE TABLE message (
  conversation_id   text COLLATE "C" NOT NULL,
  seq               bigint NOT NULL,
  created_ms        bigint NOT NULL,
  message_id        uuid NOT NULL,
  sender            text COLLATE "C" NOT NULL,
  client_message_id text COLLATE "C" NOT NULL,
  content_type      text NOT NULL,
  content           bytea NOT NULL,
  PRIMARY KEY (conversation_id, seq, created_ms)
) PARTITION BY RANGE (created_ms);
CREATE TABLE message_default PARTITION OF message DEFAULT;

-- Inboxes: pointers to messages, gapless per user. head is the highest seq, taken like conversation.last_seq.
CREATE TABLE inbox_head (
  user_id text COLLATE "C" PRIMARY KEY,
  head    bigint NOT NULL
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05);

CREATE TABLE inbox (
  user_id         text COLLATE "C" NOT NULL,
  seq             bigint NOT NULL,
  conversation_id text COLLATE "C" NOT NULL,
  conv_seq        bigint NOT NULL,
  created_ms      bigint NOT NULL,
  PRIMARY KEY (user_id, seq)
);

-- What makes a resend free. Not partitioned: a unique key of a partitioned table must contain the partition column,
-- and with a time in it the same client message could be stored twice, once on each side of a boundary.
CREATE TABLE idempotency (
  sender            text COLLATE "C" NOT NULL,
  client_message_id text COLLATE "C" NOT NULL,
  payload_hash      bytea NOT NULL,
  message_id        uuid NOT NULL,
  conversation_id   text COLLATE "C" NOT NULL,
  conv_seq          bigint NOT NULL,
  sender_inbox_seq  bigint NOT NULL,
  created_ms        bigint NOT NULL,
  PRIMARY KEY (sender, client_message_id)
);

-- Makes the message partitions of `months` months from the one of `start` on; returns how many are new.
-- A month whose messages are in the default partition already stays there.
CREATE FUNCTION ensure_message_partitions(start date, months int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  first_day timestamp := date_trunc('month', start::timestamp);
  partition_name text;
  created int := 0;
BEGIN
  FOR n IN 1..months LOOP
    partition_name := to_char(first_day, '"message_y"YYYY"m"MM');
    IF to_regclass(partition_name) IS NULL THEN
      BEGIN
        EXECUTE format(
          'CREATE TABLE %I PARTITION OF message FOR VALUES FROM (%s) TO (%s)', partition_name,
          (extract(epoch FROM first_day) * 1000)::bigint,
          (extract(epoch FROM first_day + interval '1 month') * 1000)::bigint);
        created := created + 1;
      EXCEPTION WHEN check_violation THEN
        RAISE WARNING 'messages of % stay in message_default: %', partition_name, SQLERRM;
      END;
    END IF;
    first_day := first_day + interval '1 month';
  END LOOP;
  RETURN created;
END $$;

-- Stores a batch of messages; all arrays have one element per message. The caller guarantees that no (sender, client id)
-- is in the batch twice. Runs in one transaction:
--   1. look up which are stored already, the peers that were not given (''), and whether the senders are members;
--   2. drop what is stored or refused from the batch;
--   3. number the rest per conversation and lock the conversations in id order (the upsert takes the row locks);
--   4. number the recipients' rows per user and lock the inboxes in user order;
--   5. insert messages, inbox rows and idempotency rows.
-- Locks are taken in the same order by everybody, so batches do not deadlock. Two batches with the same new key meet at
-- the sender's inbox_head; the later one then fails with a unique violation, changes nothing, and is retried by the
-- caller, who finds the message at step 1. Numbers are array subscripts rather than joins: no plan can go wrong.
CREATE FUNCTION append_v1(
  senders text[], client_ids text[], hashes bytea[], conversations text[], peers text[],
  message_ids uuid[], content_types text[], contents bytea[], sent_ms bigint[],
  OUT known json,            -- [index, same payload?, message id, conversation, conv seq, sent ms, sender's inbox seq]
  OUT stored int[],          -- indexes (from 1) of the messages stored now; NULL = all of them
  OUT conv_seqs bigint[],    -- of the stored
  OUT recipient_of int[],    -- per inbox row: position in `stored`
  OUT recipients json,       -- per inbox row: user
  OUT inbox_seqs bigint[]    -- per inbox row: seq
) LANGUAGE plpgsql AS $$
DECLARE
  fresh boolean[];
  conv_rank int[]; conv_back bigint[]; conv_last bigint[];
  row_user text[]; row_rank int[]; row_back bigint[]; heads bigint[]; sender_seqs bigint[];
BEGIN
  -- An acknowledged message must survive a crash, whatever the server's default is.
  IF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;

  -- 1. A peer that stays '' is a group.
  SELECT array_agg(d.message_id IS NULL AND (u.peer <> '' OR coalesce(u.sender IN (c.user_a, c.user_b), false) OR EXISTS (
           SELECT FROM conversation_member m WHERE m.conversation_id = u.conversation AND m.user_id = u.sender))
           ORDER BY u.i),
         array_agg(CASE u.sender WHEN c.user_a THEN c.user_b WHEN c.user_b THEN c.user_a ELSE u.peer END ORDER BY u.i),
         json_agg(json_build_array(u.i, d.payload_hash = u.hash, d.message_id, d.conversation_id, d.conv_seq,
           d.created_ms, d.sender_inbox_seq)) FILTER (WHERE d.message_id IS NOT NULL)
    INTO fresh, peers, known
    FROM unnest(senders, client_ids, hashes, conversations, peers) WITH ORDINALITY
           AS u(sender, client_id, hash, conversation, peer, i)
    LEFT JOIN LATERAL (
           SELECT * FROM idempotency k WHERE k.sender = u.sender AND k.client_message_id = u.client_id LIMIT 1
         ) d ON true
    LEFT JOIN LATERAL (
           SELECT * FROM conversation k WHERE k.conversation_id = u.conversation AND u.peer = '' LIMIT 1
         ) c ON true;

  -- 2.
  IF NOT (true = ALL (fresh)) THEN
    SELECT coalesce(array_agg(u.i::int), '{}'), array_agg(u.a), array_agg(u.b), array_agg(u.c), array_agg(u.d),
           array_agg(u.e), array_agg(u.f), array_agg(u.g), array_agg(u.h), array_agg(u.j)
      INTO stored, senders, client_ids, hashes, conversations, peers, message_ids, content_types, contents, sent_ms
      FROM unnest(senders, client_ids, hashes, conversations, peers, message_ids, content_types, contents, sent_ms)
             WITH ORDINALITY AS u(a, b, c, d, e, f, g, h, j, i)
     WHERE fresh[u.i];
    IF stored = '{}' THEN
      RETURN;
    END IF;
  END IF;

  -- 3. A message's seq is its conversation's new last_seq minus the messages that follow it in the batch.
  SELECT array_agg(n.rank ORDER BY n.i), array_agg(n.back ORDER BY n.i)
    INTO conv_rank, conv_back
    FROM (SELECT u.i, dense_rank() OVER (ORDER BY u.conversation COLLATE "C") AS rank,
                 row_number() OVER (PARTITION BY u.conversation COLLATE "C" ORDER BY u.i)
                   - count(*) OVER (PARTITION BY u.conversation COLLATE "C") AS back
            FROM unnest(conversations) WITH ORDINALITY AS u(conversation, i)) n;
  WITH locked AS (
    INSERT INTO conversation AS c (conversation_id, last_seq, user_a, user_b)
    SELECT u.conversation COLLATE "C" AS id, count(*),
           min(nullif(least(u.sender, u.peer), '')), min(CASE WHEN u.peer <> '' THEN greatest(u.sender, u.peer) END)
      FROM unnest(conversations, senders, peers) AS u(conversation, sender, peer) GROUP BY id ORDER BY id
    ON CONFLICT (conversation_id) DO UPDATE SET last_seq = c.last_seq + excluded.last_seq
    RETURNING c.last_seq
  )
  SELECT array_agg(l.last_seq) INTO conv_last FROM locked l;
  SELECT array_agg(conv_last[u.rank] + u.back) INTO conv_seqs FROM unnest(conv_rank, conv_back) AS u(rank, back);

  -- 4. The same per inbox.
  SELECT array_agg(n.i), array_agg(n.user_id), array_agg(n.rank), array_agg(n.back)
    INTO recipient_of, row_user, row_rank, row_back
    FROM (SELECT r.i, r.user_id, dense_rank() OVER (ORDER BY r.user_id) AS rank,
                 row_number() OVER (PARTITION BY r.user_id ORDER BY r.i)
                   - count(*) OVER (PARTITION BY r.user_id) AS back
            FROM (SELECT u.i::int, u.sender COLLATE "C" AS user_id
                    FROM unnest(senders, peers) WITH ORDINALITY AS u(sender, peer, i) WHERE u.peer <> ''
                  UNION ALL
                  SELECT u.i::int, u.peer
                    FROM unnest(senders, peers) WITH ORDINALITY AS u(sender, peer, i) WHERE u.peer NOT IN ('', u.sender)
                  UNION ALL
                  SELECT u.i::int, m.user_id
                    FROM unnest(conversations, peers) WITH ORDINALITY AS u(conversation, peer, i)
                   CROSS JOIN LATERAL (SELECT k.user_id FROM conversation_member k
                          WHERE k.conversation_id = u.conversation OFFSET 0) m
                   WHERE u.peer = '') r) n;
  WITH locked AS (
    INSERT INTO inbox_head AS h (user_id, head)
    SELECT u.user_id COLLATE "C" AS id, count(*) FROM unnest(row_user) AS u(user_id) GROUP BY id ORDER BY id
    ON CONFLICT (user_id) DO UPDATE SET head = h.head + excluded.head
    RETURNING h.head
  )
  SELECT array_agg(l.head) INTO heads FROM locked l;
  SELECT array_agg(heads[u.rank] + u.back) INTO inbox_seqs FROM unnest(row_rank, row_back) AS u(rank, back);
  SELECT array_agg(u.seq ORDER BY u.i) INTO sender_seqs
    FROM unnest(recipient_of, row_user, inbox_seqs) AS u(i, user_id, seq) WHERE u.user_id = senders[u.i];

  -- 5.
  INSERT INTO message (conversation_id, seq, created_ms, message_id, sender, client_message_id, content_type, content)
  SELECT * FROM unnest(conversations, conv_seqs, sent_ms, message_ids, senders, client_ids, content_types, contents);
  INSERT INTO inbox (user_id, seq, conversation_id, conv_seq, created_ms)
  SELECT u.user_id, u.seq, conversations[u.i], conv_seqs[u.i], sent_ms[u.i]
    FROM unnest(row_user, inbox_seqs, recipient_of) AS u(user_id, seq, i);
  INSERT INTO idempotency
  SELECT * FROM unnest(senders, client_ids, hashes, message_ids, conversations, conv_seqs, sender_seqs, sent_ms);
  recipients := array_to_json(row_user);
END $$;
