-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- Whose orders they are: two people who only talk about single things have no conversation of their own, by which the orders of a user
-- were found until now. For handing them out, and for deletions.

-- NULL: it was written by a process of the version before, and is found by the conversation.
ALTER TABLE conversation_order ADD COLUMN user_a text COLLATE "C", ADD COLUMN user_b text COLLATE "C";
UPDATE conversation_order o SET user_a = c.user_a, user_b = c.user_b FROM conversation c WHERE c.conversation_id = o.conversation_id;
CREATE INDEX conversation_order_user_a ON conversation_order (user_a, created_ms);
CREATE INDEX conversation_order_user_b ON conversation_order (user_b, created_ms);

CREATE FUNCTION is_order_held_v1(in_conversation text, in_user_a text, in_user_b text) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT is_held_v1(in_conversation, coalesce(in_user_a, '')) OR is_held_v1(in_conversation, coalesce(in_user_b, ''));
$$;

-- As before, and the orders that say whose they are.
CREATE OR REPLACE FUNCTION erasure_leftovers_v1(in_user text, in_rows int, is_returning boolean) RETURNS int LANGUAGE plpgsql AS $$
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
    DELETE FROM conversation_order o WHERE o.ctid = ANY (ARRAY(
      SELECT k.ctid FROM conversation_order k
       WHERE (k.user_a = in_user OR k.user_b = in_user) AND NOT is_order_held_v1(k.conversation_id, k.user_a, k.user_b) LIMIT in_rows));
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

-- As before: what is held keeps the deletion open.
CREATE OR REPLACE FUNCTION erasure_step_v1(
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
            OR EXISTS (SELECT FROM conversation_order k WHERE k.user_a = in_user OR k.user_b = in_user)
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

-- Users that were deleted before this and have orders left are gone through once more.
UPDATE erasure e SET state = 'erasing', stage = 'account', reached_seq = 0, until_seq = 0, held = 0, due_ms = api_now_ms(), lease = lease + 1
 WHERE e.state = 'erased' AND EXISTS (SELECT FROM conversation_order k WHERE k.user_a = e.user_id OR k.user_b = e.user_id);
