-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- Large groups: a message is a row of the conversation and a pointer of its sender; the other members read it there.

ALTER TABLE conversation ADD COLUMN large_seq bigint;
COMMENT ON COLUMN conversation.large_seq IS 'Of a large group: the last message that every member has in the inbox. NULL: all of them are.';
-- Of a group with thousands of members, those who may do more.
CREATE INDEX conversation_member_role ON conversation_member (conversation_id, user_id) WHERE role <> 'member';

-- From the next message on, which tells of it, the group is large, for good. In the transaction of the change, behind it.
CREATE FUNCTION grow_group_v1(in_group text) RETURNS boolean LANGUAGE sql AS $$
  UPDATE conversation c SET large_seq = c.last_seq + 1 WHERE c.conversation_id = in_group RETURNING true
$$;
