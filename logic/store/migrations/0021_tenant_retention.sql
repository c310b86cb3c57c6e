-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- Retention that is shorter for some tenants, and stops before what is held. A tenant is what is before the `/` of an id.

CREATE FUNCTION tenant_of(in_id text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN strpos(in_id, '/') > 0 THEN split_part(in_id, '/', 1) ELSE '' END
$$;

-- First moment of a partition by month, and the first one after it, ms since 1970.
CREATE FUNCTION partition_from_ms(in_name text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT (extract(epoch FROM to_date(right(in_name, 7), 'YYYY"m"MM')::timestamp) * 1000)::bigint
$$;
CREATE FUNCTION partition_to_ms(in_name text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT (extract(epoch FROM to_date(right(in_name, 7), 'YYYY"m"MM')::timestamp + interval '1 month') * 1000)::bigint
$$;

-- Has a partition of messages or inboxes something that a hold keeps? Holds are few; each is a lookup or two.
CREATE FUNCTION is_partition_held_v1(in_name text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
  pointers text := 'inbox' || right(in_name, 9);
  is_held boolean := false;
BEGIN
  IF NOT EXISTS (SELECT FROM legal_hold) THEN
    RETURN false;
  END IF;
  IF to_regclass(pointers) IS NOT NULL THEN
    EXECUTE format('SELECT EXISTS (SELECT FROM legal_hold h WHERE h.kind = ''user''
                      AND EXISTS (SELECT FROM %I i WHERE i.user_id = h.held_id))', pointers) INTO is_held;
  END IF;
  IF NOT is_held AND in_name LIKE 'message%' THEN
    EXECUTE format('SELECT EXISTS (SELECT FROM legal_hold h WHERE h.kind = ''conversation''
                      AND EXISTS (SELECT FROM %I m WHERE m.conversation_id = h.held_id))', in_name) INTO is_held;
  END IF;
  RETURN is_held;
END $$;

-- As before, but what is held is not dropped: its other rows are swept.
CREATE OR REPLACE FUNCTION retention_partitions_v1(cutoff_ms bigint, months_ahead int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  expired text;
BEGIN
  IF NOT pg_try_advisory_xact_lock('retention_sweep'::regclass::bigint) THEN
    RETURN NULL;
  END IF;
  PERFORM set_config('lock_timeout', '200ms', true);
  PERFORM ensure_message_partitions(now()::date, months_ahead + 1);
  -- A hold that is being placed comes before this or after it.
  LOCK TABLE legal_hold IN SHARE MODE;
  SELECT c.relname INTO expired
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
   WHERE i.inhparent IN ('message'::regclass, 'inbox'::regclass) AND c.relname ~ '_y[0-9]{4}m[0-9]{2}$'
     AND partition_to_ms(c.relname) <= cutoff_ms AND NOT is_partition_held_v1(c.relname)
   -- Pointers before what they point to: a reader passes over a pointer without a message, but need not.
   ORDER BY c.relname LIMIT 1;
  IF expired IS NULL THEN
    RETURN '';
  END IF;
  EXECUTE format('DROP TABLE %I', expired);
  DELETE FROM retention_sweep s WHERE s.table_name = expired;
  RETURN expired;
END $$;

-- Partitions that are to be swept, for they cannot be dropped: those that are too old and held, and those that hold something that is
-- too old for a tenant. @param tenant_cutoff_ms of the tenant with the shortest time; 0 = there is none
CREATE FUNCTION retention_targets_v1(cutoff_ms bigint, tenant_cutoff_ms bigint) RETURNS SETOF text LANGUAGE sql STABLE AS $$
  SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
   WHERE i.inhparent IN ('message'::regclass, 'inbox'::regclass) AND c.relname ~ '_y[0-9]{4}m[0-9]{2}$'
     AND (partition_to_ms(c.relname) <= cutoff_ms OR partition_from_ms(c.relname) < tenant_cutoff_ms)
   ORDER BY c.relname
$$;

-- As retention_sweep_v1, of any partition, with the cutoffs of tenants, and without what is held. A pointer is held with its user; a
-- message with its conversation, its sender, or one of those in it.
CREATE FUNCTION retention_sweep_v2(
  target text, cutoff_ms bigint, blocks int, tenants text[], tenant_cutoffs_ms bigint[],
  OUT deleted int, OUT total_blocks bigint, OUT is_end boolean
) LANGUAGE plpgsql AS $$
DECLARE
  first_block bigint;
  common_ms bigint := cutoff_ms;
  owner text;
  held text;
BEGIN
  IF target NOT IN ('idempotency', 'message_default', 'inbox_default') AND target !~ '^(message|inbox)_y[0-9]{4}m[0-9]{2}$' THEN
    RAISE EXCEPTION 'retention does not sweep %', target;
  END IF;
  IF NOT pg_try_advisory_xact_lock('retention_sweep'::regclass::bigint) THEN
    RETURN;
  END IF;
  LOCK TABLE legal_hold IN SHARE MODE;
  -- What is too old for everybody goes with its partition, to the month.
  IF target ~ '_y[0-9]{4}m[0-9]{2}$' AND partition_to_ms(target) > cutoff_ms THEN
    common_ms := 0;
  END IF;
  IF to_regclass(target) IS NULL THEN
    deleted := 0;
    total_blocks := 0;
    is_end := true;
    RETURN;
  END IF;
  total_blocks := pg_relation_size(target::regclass) / current_setting('block_size')::bigint;
  INSERT INTO retention_sweep (table_name, next_block) VALUES (target, 0) ON CONFLICT DO NOTHING;
  SELECT s.next_block INTO first_block FROM retention_sweep s WHERE s.table_name = target;
  owner := CASE WHEN target LIKE 'inbox%' THEN 'user_id' ELSE 'sender' END;
  held := CASE WHEN target = 'idempotency' OR NOT EXISTS (SELECT FROM legal_hold) THEN ''
               WHEN target LIKE 'inbox%' THEN
                 'AND NOT EXISTS (SELECT FROM legal_hold h WHERE h.kind = ''user'' AND h.held_id = user_id)'
               ELSE 'AND NOT is_held_v1(conversation_id, sender)' END;
  EXECUTE format('DELETE FROM %I WHERE ctid >= $1 AND ctid < $2
                     AND created_ms < greatest($3, coalesce(($5::bigint[])[array_position($4::text[], tenant_of(%I))], $3)) %s',
                 target, owner, held)
    USING format('(%s,0)', first_block)::tid, format('(%s,0)', first_block + blocks)::tid, common_ms, tenants, tenant_cutoffs_ms;
  GET DIAGNOSTICS deleted = ROW_COUNT;
  is_end := first_block + blocks >= total_blocks;
  UPDATE retention_sweep s SET next_block = CASE WHEN is_end THEN 0 ELSE first_block + blocks END
   WHERE s.table_name = target;
END $$;
