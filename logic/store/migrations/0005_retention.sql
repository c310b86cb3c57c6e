-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- Inbox pointers move to partitions by month, like messages: retention drops both and deletes no rows. The key gets the
-- partition column; (user_id, seq) stays unique because seq is taken under the lock of the user's inbox_head row.
ALTER TABLE inbox RENAME TO inbox_before;
ALTER INDEX inbox_pkey RENAME TO inbox_before_pkey;
CREATE TABLE inbox (
  user_id         text COLLATE "C" NOT NULL,
  seq             bigint NOT NULL,
  conversation_id text COLLATE "C" NOT NULL,
  conv_seq        bigint NOT NULL,
  created_ms      bigint NOT NULL,
  PRIMARY KEY (user_id, seq, created_ms)
) PARTITION BY RANGE (created_ms);
CREATE TABLE inbox_default PARTITION OF inbox DEFAULT;

-- What a member of a group may read begins behind the message that was the last one when the member joined.
ALTER TABLE conversation_member ADD COLUMN joined_seq bigint NOT NULL DEFAULT 0;

-- Makes the partitions of messages and inboxes for `months` months from the one of `start` on; returns how many are new.
-- A month that has rows in a default partition already stays there.
CREATE OR REPLACE FUNCTION ensure_message_partitions(start date, months int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  first_day timestamp := date_trunc('month', start::timestamp);
  parent text;
  partition_name text;
  created int := 0;
BEGIN
  PERFORM pg_advisory_xact_lock('message'::regclass::bigint);
  FOR n IN 1..months LOOP
    FOREACH parent IN ARRAY ARRAY['message', 'inbox'] LOOP
      partition_name := parent || to_char(first_day, '"_y"YYYY"m"MM');
      IF to_regclass(partition_name) IS NULL THEN
        BEGIN
          EXECUTE format(
            'CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%s) TO (%s)', partition_name, parent,
            (extract(epoch FROM first_day) * 1000)::bigint,
            (extract(epoch FROM first_day + interval '1 month') * 1000)::bigint);
          created := created + 1;
        EXCEPTION WHEN check_violation THEN
          RAISE WARNING 'rows of % stay in the default partition: %', partition_name, SQLERRM;
        END;
      END IF;
    END LOOP;
    first_day := first_day + interval '1 month';
  END LOOP;
  RETURN created;
END $$;

-- The months that hold rows now, before the rows move.
SELECT ensure_message_partitions(to_timestamp(d.created_ms / 1000)::date, 1)
  FROM (SELECT DISTINCT date_trunc('month', to_timestamp(created_ms / 1000)) AS month, min(created_ms) AS created_ms
          FROM inbox_before GROUP BY 1) d;
INSERT INTO inbox SELECT user_id, seq, conversation_id, conv_seq, created_ms FROM inbox_before;
DROP TABLE inbox_before;

-- Retention. Every step is one short transaction under an advisory lock, so that one process works at a time however
-- many run; NULL = another one does.
CREATE TABLE retention_sweep (
  table_name text PRIMARY KEY,
  next_block bigint NOT NULL
);

-- Makes the partitions of the current month and `months_ahead` more, and drops one whose last moment is before `cutoff_ms`.
-- Returns the name of the dropped one, '' when there is none. Waits 0.2 s at most for locks, because everybody else
-- queues behind it: lock_not_available then, and another try at the next round.
CREATE FUNCTION retention_partitions_v1(cutoff_ms bigint, months_ahead int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  expired text;
BEGIN
  IF NOT pg_try_advisory_xact_lock('retention_sweep'::regclass::bigint) THEN
    RETURN NULL;
  END IF;
  PERFORM set_config('lock_timeout', '200ms', true);
  PERFORM ensure_message_partitions(now()::date, months_ahead + 1);
  SELECT c.relname INTO expired
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
   WHERE i.inhparent IN ('message'::regclass, 'inbox'::regclass) AND c.relname ~ '_y[0-9]{4}m[0-9]{2}$'
     AND extract(epoch FROM to_date(right(c.relname, 7), 'YYYY"m"MM') + interval '1 month') * 1000 <= cutoff_ms
   -- Pointers before what they point to: a reader passes over a pointer without a message, but need not.
   ORDER BY c.relname LIMIT 1;
  IF expired IS NULL THEN
    RETURN '';
  END IF;
  EXECUTE format('DROP TABLE %I', expired);
  RETURN expired;
END $$;

-- Deletes what is older than `cutoff_ms` in the next `blocks` blocks of a table without partitions, in the order of its
-- pages: no index on the time is needed, and rows of one time lie together. Begins again at the end.
CREATE FUNCTION retention_sweep_v1(
  target text, cutoff_ms bigint, blocks int, OUT deleted int, OUT total_blocks bigint, OUT is_end boolean
) LANGUAGE plpgsql AS $$
DECLARE
  first_block bigint;
BEGIN
  IF target NOT IN ('idempotency', 'message_default', 'inbox_default') THEN
    RAISE EXCEPTION 'retention does not sweep %', target;
  END IF;
  IF NOT pg_try_advisory_xact_lock('retention_sweep'::regclass::bigint) THEN
    RETURN;
  END IF;
  total_blocks := pg_relation_size(target::regclass) / current_setting('block_size')::bigint;
  INSERT INTO retention_sweep (table_name, next_block) VALUES (target, 0) ON CONFLICT DO NOTHING;
  SELECT s.next_block INTO first_block FROM retention_sweep s WHERE s.table_name = target;
  EXECUTE format('DELETE FROM %I WHERE ctid >= $1 AND ctid < $2 AND created_ms < $3', target)
    USING format('(%s,0)', first_block)::tid, format('(%s,0)', first_block + blocks)::tid, cutoff_ms;
  GET DIAGNOSTICS deleted = ROW_COUNT;
  is_end := first_block + blocks >= total_blocks;
  UPDATE retention_sweep s SET next_block = CASE WHEN is_end THEN 0 ELSE first_block + blocks END
   WHERE s.table_name = target;
END $$;
