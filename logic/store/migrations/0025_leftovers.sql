-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- What a deleted user leaves outside of its messages: blocks, orders, reports, mutes, its place in broadcasts, and events that nobody
-- was told of yet. And broadcasts that were over long ago.

-- Pairs of whom one has blocked the other: few, so the indexes cost an append nothing.
CREATE INDEX conversation_blocked_a ON conversation (user_a) WHERE blockers IS NOT NULL;
CREATE INDEX conversation_blocked_b ON conversation (user_b) WHERE blockers IS NOT NULL;
CREATE INDEX report_reported ON report (reported) WHERE reported <> '';
CREATE INDEX report_conversation ON report (conversation_id) WHERE conversation_id <> '';
CREATE INDEX report_appeal ON report (tenant) WHERE kind = 'appeal';
-- Events about users; those of messages have a seq.
CREATE INDEX hook_event_user ON hook_event (key) WHERE seq IS NULL;
CREATE INDEX hook_dead_user ON hook_dead (key) WHERE seq IS NULL;
CREATE INDEX broadcast_over ON broadcast ((least(not_after_ms, nullif(retracted_ms, 0))));

-- Is a report to be kept?
CREATE FUNCTION is_report_held_v1(in_reporter text, in_reported text, in_conversation text) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT FROM legal_hold h WHERE h.kind = 'user' AND h.held_id IN (in_reporter, in_reported))
      OR (in_conversation <> '' AND is_held_v1(in_conversation, in_reported))
$$;

-- The messages around a report without those of the user; without any where the text cannot be taken apart.
CREATE FUNCTION report_context_without_v1(in_context text, in_user text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN coalesce((SELECT json_agg(o.one) FROM json_array_elements(in_context::json) AS o(one)
                    WHERE coalesce(o.one ->> 'sender', '') <> in_user)::text, '[]');
EXCEPTION WHEN data_exception THEN
  RETURN '[]';
END $$;

-- Who was deleted and is not back yet: nobody is told of it.
CREATE FUNCTION is_erased_v1(in_user text) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT FROM erasure e WHERE e.user_id = in_user)
$$;

-- As before, but without what was told about users that were deleted meanwhile.
CREATE OR REPLACE FUNCTION hook_collect_v1(shards int, max_rows int) RETURNS int LANGUAGE plpgsql AS $$
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
     WHERE f.seq IS NOT NULL OR NOT is_erased_v1(f.key)
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

-- Pairs of the user in which somebody has blocked somebody: nobody has any more. Locks are taken in the order in which blocks take
-- them: lists, then conversations by id. How many pairs it was.
CREATE FUNCTION erasure_blocks_v1(in_user text, in_rows int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  pairs text[];
  peers text[];
BEGIN
  pairs := ARRAY(SELECT u.id FROM (
    SELECT c.conversation_id AS id FROM conversation c WHERE c.blockers IS NOT NULL AND c.user_a = in_user
     UNION
    SELECT c.conversation_id FROM conversation c WHERE c.blockers IS NOT NULL AND c.user_b = in_user) u ORDER BY u.id LIMIT in_rows);
  IF cardinality(pairs) = 0 THEN
    RETURN 0;
  END IF;
  peers := ARRAY(SELECT CASE c.user_a WHEN in_user THEN c.user_b ELSE c.user_a END FROM conversation c
                  WHERE c.conversation_id = ANY (pairs));
  PERFORM FROM user_block_head h WHERE h.user_id = ANY (peers || in_user) ORDER BY h.user_id FOR UPDATE;
  PERFORM FROM conversation c WHERE c.conversation_id = ANY (pairs) ORDER BY c.conversation_id FOR NO KEY UPDATE;
  WITH gone AS (
    DELETE FROM user_block b
     WHERE (b.user_id = in_user AND b.blocked_id = ANY (peers)) OR (b.blocked_id = in_user AND b.user_id = ANY (peers))
    RETURNING b.user_id
  )
  UPDATE user_block_head h SET version = h.version + 1 WHERE h.user_id IN (SELECT g.user_id FROM gone g);
  UPDATE conversation c SET blockers = NULL, group_version = c.group_version + 1 WHERE c.conversation_id = ANY (pairs);
  RETURN cardinality(pairs);
END $$;

-- Reports name the user no more and have none of its words; its appeals go. How many it was.
CREATE FUNCTION erasure_reports_v1(in_user text, in_rows int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  external_id text := to_json(CASE WHEN tenant_of(in_user) = '' THEN in_user ELSE substr(in_user, strpos(in_user, '/') + 1) END)::text;
  part int;
BEGIN
  WITH own AS (
    SELECT r.tenant, r.number, r.kind FROM report r
     WHERE r.reporter = in_user AND NOT is_report_held_v1(r.reporter, r.reported, r.conversation_id) LIMIT in_rows
  ), gone AS (
    DELETE FROM report r USING own WHERE own.kind = 'appeal' AND r.tenant = own.tenant AND r.number = own.number
  )
  UPDATE report r SET reporter = '', report_id = 'erased.' || r.number, body = '', context = '[]'
    FROM own WHERE own.kind <> 'appeal' AND r.tenant = own.tenant AND r.number = own.number;
  GET DIAGNOSTICS part = ROW_COUNT;
  IF part > 0 OR EXISTS (SELECT FROM report r WHERE r.reporter = in_user
                            AND NOT is_report_held_v1(r.reporter, r.reported, r.conversation_id)) THEN
    RETURN greatest(part, 1);
  END IF;
  UPDATE report r SET reported = '', context = '[]' WHERE (r.tenant, r.number) IN (
    SELECT o.tenant, o.number FROM report o
     WHERE o.reported = in_user AND o.reported <> '' AND NOT is_report_held_v1(o.reporter, o.reported, o.conversation_id) LIMIT in_rows);
  GET DIAGNOSTICS part = ROW_COUNT;
  IF part = 0 THEN
    UPDATE report r SET context = '[]' WHERE (r.tenant, r.number) IN (
      SELECT o.tenant, o.number FROM report o
       WHERE o.kind = 'appeal' AND o.tenant = tenant_of(in_user) AND strpos(o.context, '"to":' || external_id) > 0
         AND NOT is_report_held_v1(o.reporter, in_user, o.conversation_id) LIMIT in_rows);
    GET DIAGNOSTICS part = ROW_COUNT;
  END IF;
  RETURN part;
END $$;

-- A portion of what a user leaves outside of its messages; 0: that was all that is not held.
CREATE FUNCTION erasure_leftovers_v1(in_user text, in_rows int, is_returning boolean) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  part int := erasure_blocks_v1(in_user, in_rows);
BEGIN
  IF part = 0 THEN
    part := erasure_reports_v1(in_user, in_rows);
  END IF;
  IF part = 0 THEN
    DELETE FROM conversation_order o WHERE o.ctid = ANY (ARRAY(
      SELECT k.ctid FROM conversation_state s
        JOIN conversation c ON c.conversation_id = s.conversation_id AND c.user_a IS NOT NULL
        JOIN conversation_order k ON k.conversation_id = s.conversation_id
       WHERE s.user_id = in_user AND NOT is_held_v1(s.conversation_id, in_user) LIMIT in_rows));
    GET DIAGNOSTICS part = ROW_COUNT;
  END IF;
  IF part = 0 THEN
    DELETE FROM hook_event e WHERE e.ctid = ANY (ARRAY(
      SELECT o.ctid FROM hook_event o WHERE o.key = in_user AND o.seq IS NULL LIMIT in_rows));
    GET DIAGNOSTICS part = ROW_COUNT;
  END IF;
  IF part = 0 THEN
    DELETE FROM hook_dead d WHERE d.ctid = ANY (ARRAY(
      SELECT o.ctid FROM hook_dead o WHERE o.key = in_user AND o.seq IS NULL LIMIT in_rows));
    GET DIAGNOSTICS part = ROW_COUNT;
  END IF;
  IF part = 0 THEN
    DELETE FROM hook_online WHERE user_id = in_user;
    DELETE FROM hook_verdict WHERE sender = in_user;
    DELETE FROM broadcast_reader WHERE user_id = in_user;
    -- Every logic has heard of its end by then, but for one that was set since: that one is pruned as others are.
    IF EXISTS (SELECT FROM mute m WHERE m.user_id = in_user AND m.until_ms > 0) THEN
      PERFORM mute_set_v1(in_user, 0, '', 0);
    ELSIF NOT is_returning THEN
      DELETE FROM mute WHERE user_id = in_user;
    END IF;
  END IF;
  RETURN part;
END $$;

-- One portion, as before, and then what is left outside of messages. What is held there keeps the deletion open, as messages do.
ALTER FUNCTION erasure_step_v1(text, bigint, int, bigint, bigint) RENAME TO erasure_portion_v1;
CREATE FUNCTION erasure_step_v1(
  in_user text, in_lease bigint, in_rows int, in_lease_ms bigint, in_settle_ms bigint, OUT outcome text, OUT next_stage text
) LANGUAGE plpgsql AS $$
DECLARE
  job erasure;
BEGIN
  SELECT * INTO job FROM erasure e WHERE e.user_id = in_user AND e.lease = in_lease AND e.state <> 'erased' FOR UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  IF job.stage = 'account' AND EXISTS (SELECT FROM mute m WHERE m.user_id = in_user AND m.until_ms > 0) THEN
    PERFORM mute_set_v1(in_user, 0, '', 0);
  ELSIF job.stage = 'inbox' THEN
    LOCK TABLE legal_hold IN SHARE MODE;
    -- What others reported where it had written.
    UPDATE report r SET context = report_context_without_v1(r.context, in_user)
     WHERE r.conversation_id <> '' AND strpos(r.context, in_user) > 0
       AND NOT is_report_held_v1(r.reporter, in_user, r.conversation_id)
       AND r.conversation_id = ANY (ARRAY(
             SELECT DISTINCT p.conversation_id FROM (
               SELECT i.conversation_id FROM inbox i WHERE i.user_id = in_user AND i.seq > job.reached_seq ORDER BY i.seq LIMIT in_rows) p));
  ELSIF job.stage = 'keys' THEN
    LOCK TABLE legal_hold IN SHARE MODE;
    IF erasure_leftovers_v1(in_user, in_rows, job.state = 'returning') > 0 THEN
      UPDATE erasure e SET due_ms = api_now_ms() + in_lease_ms WHERE e.user_id = in_user;
      outcome := 'more';
      next_stage := 'keys';
      RETURN;
    END IF;
    UPDATE erasure e SET held = e.held + 1
     WHERE e.user_id = in_user AND e.held = 0
       AND (EXISTS (SELECT FROM report r WHERE r.reporter = in_user)
            OR EXISTS (SELECT FROM report r WHERE r.reported = in_user AND r.reported <> '')
            OR EXISTS (SELECT FROM conversation_state s
                         JOIN conversation c ON c.conversation_id = s.conversation_id AND c.user_a IS NOT NULL
                         JOIN conversation_order k ON k.conversation_id = s.conversation_id WHERE s.user_id = in_user));
  END IF;
  SELECT p.outcome, p.next_stage INTO outcome, next_stage
    FROM erasure_portion_v1(in_user, in_lease, in_rows, in_lease_ms, in_settle_ms) p;
  -- Whoever is back is new to broadcasts: what was sent before is not for it.
  IF job.stage = 'keys' AND job.state = 'returning' AND NOT is_erased_v1(in_user) THEN
    INSERT INTO broadcast_reader (user_id, floor_seq, watermark, registered_ms)
    SELECT in_user, coalesce(max(h.head), 0), coalesce(max(h.head), 0), broadcast_now_ms()
      FROM broadcast_head h WHERE h.tenant = broadcast_tenant(in_user)
    HAVING EXISTS (SELECT FROM session_slot s WHERE s.user_id = in_user)
    ON CONFLICT DO NOTHING;
  END IF;
END $$;

-- Users that were deleted before this are gone through once more.
UPDATE erasure SET state = 'erasing', stage = 'account', reached_seq = 0, until_seq = 0, held = 0, due_ms = api_now_ms(), lease = lease + 1
 WHERE state = 'erased';
