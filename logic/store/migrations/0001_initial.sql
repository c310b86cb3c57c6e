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
  PERFORM pg_advisory_xact_lock('message'::regclass::bigint);
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

-- Stores a batch of new messages with everything that belongs to them, in one transaction. The caller has numbered
-- the batch: `back` is how far a row's number is below the new counter of its conversation or inbox (0 = the last one),
-- and indexes (from 1) replace joins, so that no plan can go wrong.
-- Counters are taken by upserts, which lock their rows in the order given: everybody gives conversations before inboxes,
-- each in the same order, so batches do not deadlock. Two batches with the same new key meet at the sender's inbox_head;
-- the later one then fails with a unique violation of idempotency_pkey and changes nothing.
CREATE FUNCTION append_v1(
  -- Conversations, distinct, in lock order; users are NULL for a group.
  conversation_ids text[], conversation_counts int[], users_a text[], users_b text[],
  -- Inboxes, distinct, in lock order.
  inbox_ids text[], inbox_counts int[],
  -- Messages.
  message_conversation int[], message_back int[], message_ids uuid[], senders text[], client_ids text[], hashes bytea[],
  content_types text[], contents bytea[], sent_ms bigint[],
  -- Their senders' inbox rows.
  sender_inbox int[], sender_back int[],
  -- All inbox rows.
  row_inbox int[], row_back int[], row_message int[],
  OUT last_seqs bigint[],    -- per conversation
  OUT heads bigint[]         -- per inbox
) LANGUAGE plpgsql AS $$
DECLARE
  updated int[];
BEGIN
  -- An acknowledged message must survive a crash, whatever the server's default is.
  IF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;

  WITH locked AS (
    INSERT INTO conversation AS c (conversation_id, last_seq, user_a, user_b)
    SELECT unnest(conversation_ids), unnest(conversation_counts), unnest(users_a), unnest(users_b)
    ON CONFLICT (conversation_id) DO UPDATE SET last_seq = c.last_seq + excluded.last_seq
    RETURNING c.last_seq
  )
  SELECT array_agg(l.last_seq) INTO last_seqs FROM locked l;

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

  INSERT INTO message (conversation_id, seq, created_ms, message_id, sender, client_message_id, content_type, content)
  SELECT conversation_ids[m.c], last_seqs[m.c] + m.back, m.ms, m.id, m.sender, m.client_id, m.content_type, m.content
    FROM (SELECT unnest(message_conversation) AS c, unnest(message_back) AS back, unnest(sent_ms) AS ms,
                 unnest(message_ids) AS id, unnest(senders) AS sender, unnest(client_ids) AS client_id,
                 unnest(content_types) AS content_type, unnest(contents) AS content) m;

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
