-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- What the shop's backends are told by webhooks. Facts are written to hook_outbox in the transaction that makes them, and only
-- where a hook is configured: one row for an append, whatever the size of its batch. One process at a time moves them to
-- hook_event, where they get positions; a hook reads by cursors, and can be set back.

-- kind: message.after (keys are conversations, with seq and time of each message; the content is read when it is sent),
-- or another fact, whose content is in `bodies`. only_hook: for this hook alone (it was dead and is replayed).
CREATE TABLE hook_outbox (
  -- Taken behind the locks of the conversations: of two facts with one key the later has the higher one.
  outbox_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  stored_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  kind       text NOT NULL,
  only_hook  text COLLATE "C",
  ids        uuid[] NOT NULL,
  keys       text[] NOT NULL,
  seqs       bigint[],
  created_ms bigint[],
  bodies     text[]
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
ALTER TABLE hook_outbox ALTER COLUMN ids SET STORAGE EXTERNAL, ALTER COLUMN keys SET STORAGE EXTERNAL;

-- Positions are taken under the lock of this row: they are gapless, in the order of commits.
CREATE TABLE hook_log (
  only_row      boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  last_position bigint NOT NULL
);
INSERT INTO hook_log (last_position) VALUES (0);

CREATE TABLE hook_event (
  shard      smallint NOT NULL,
  position   bigint NOT NULL,
  stored_ms  bigint NOT NULL,
  kind       text NOT NULL,
  only_hook  text COLLATE "C",
  id         uuid NOT NULL,
  key        text COLLATE "C" NOT NULL,
  seq        bigint,
  created_ms bigint,
  body       text,
  PRIMARY KEY (shard, position)
) WITH (autovacuum_vacuum_scale_factor = 0.05);

-- Up to where a hook was told of a shard. free_at: nobody takes it before, because somebody has it in hand or it waits for a
-- try; `lease` names who has it.
CREATE TABLE hook_cursor (
  hook      text COLLATE "C" NOT NULL,
  shard     smallint NOT NULL,
  position  bigint NOT NULL,
  tries     int NOT NULL DEFAULT 0,
  lease     bigint NOT NULL DEFAULT 0,
  free_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (hook, shard)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- Events that a backend did not take in all its tries.
CREATE TABLE hook_dead (
  hook       text COLLATE "C" NOT NULL,
  position   bigint NOT NULL,
  died_ms    bigint NOT NULL,
  reason     text NOT NULL,
  tries      int NOT NULL,
  stored_ms  bigint NOT NULL,
  kind       text NOT NULL,
  id         uuid NOT NULL,
  key        text COLLATE "C" NOT NULL,
  seq        bigint,
  created_ms bigint,
  body       text,
  PRIMARY KEY (hook, position)
);
CREATE INDEX hook_dead_died ON hook_dead (died_ms);

-- Moves up to max_rows rows of the outbox to the log; how many it was, -1 when another process is at it. Who sees a fact sees
-- all earlier ones with its key, because they were committed before their key's lock went on: to take the rows that are there
-- in the order of their ids keeps the order of each key.
CREATE FUNCTION hook_collect_v1(shards int, max_rows int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  known bigint;
  moved int;
  added bigint;
BEGIN
  SELECT l.last_position INTO known FROM hook_log l FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN -1;
  END IF;
  WITH oldest AS (
    SELECT o.outbox_id FROM hook_outbox o ORDER BY o.outbox_id LIMIT max_rows
  ), taken AS (
    DELETE FROM hook_outbox o USING oldest WHERE o.outbox_id = oldest.outbox_id RETURNING o.*
  ), facts AS (
    SELECT t.stored_at, t.kind, t.only_hook, f.id, f.key, f.seq, f.ms, f.body,
           row_number() OVER (ORDER BY t.outbox_id, f.n) AS number
      FROM taken t, unnest(t.ids, t.keys, t.seqs, t.created_ms, t.bodies) WITH ORDINALITY AS f(id, key, seq, ms, body, n)
  ), logged AS (
    INSERT INTO hook_event (shard, position, stored_ms, kind, only_hook, id, key, seq, created_ms, body)
    SELECT abs(hashtext(f.key)::bigint) % shards, known + f.number, (extract(epoch FROM f.stored_at) * 1000)::bigint,
           f.kind, f.only_hook, f.id, f.key, f.seq, f.ms, f.body FROM facts f
    RETURNING 1
  )
  SELECT (SELECT count(*) FROM taken), (SELECT count(*) FROM logged) INTO moved, added;
  UPDATE hook_log SET last_position = known + added WHERE added > 0;
  RETURN moved;
END $$;

-- Presence as the hooks were last told: a row for whoever is online.
CREATE TABLE hook_online (
  user_id text COLLATE "C" PRIMARY KEY,
  since_ms bigint NOT NULL
);

-- Late verdicts of classifiers, until a logic has carried them out.
CREATE TABLE hook_verdict (
  message_id      uuid PRIMARY KEY,
  conversation_id text COLLATE "C" NOT NULL,
  seq             bigint NOT NULL,
  sender          text COLLATE "C" NOT NULL,
  verdict         text NOT NULL,
  reason          text NOT NULL,
  hook            text NOT NULL,
  tries           int NOT NULL DEFAULT 0,
  free_at         timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX hook_verdict_free ON hook_verdict (free_at);
