-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- Groups: a name, roles, and a version that every change of a group raises. An append to a group reads its members first and
-- takes the lock on the conversation later; with the version it can tell that they are still the same.
ALTER TABLE conversation ADD COLUMN group_version bigint NOT NULL DEFAULT 0;
ALTER TABLE conversation_member ADD COLUMN role text COLLATE "C" NOT NULL DEFAULT 'member'
  CHECK (role IN ('member', 'admin', 'owner'));

CREATE TABLE conversation_group (
  conversation_id text COLLATE "C" PRIMARY KEY,
  name            text NOT NULL,
  from_start      boolean NOT NULL,
  member_count    int NOT NULL,
  created_ms      bigint NOT NULL
) WITH (fillfactor = 80);
COMMENT ON COLUMN conversation_group.from_start IS 'Whoever joins later may read what was said before.';

-- Changes a group that is still at the version `in_version` (0: makes it), under the lock of its conversation. False: it is at
-- another one, and nothing was changed. The event that tells of it is appended after this in the same transaction, so what a
-- new member may read begins with it.
CREATE FUNCTION change_group_v1(
  in_group text, in_version bigint, in_name text, in_from_start boolean, in_made_ms bigint,
  in_removed text[], in_users text[], in_roles text[]
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  before_seq bigint;
  is_from_start boolean;
BEGIN
  IF in_version = 0 THEN
    INSERT INTO conversation (conversation_id, last_seq) VALUES (in_group, 0) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
      RETURN false;
    END IF;
    INSERT INTO conversation_group (conversation_id, name, from_start, member_count, created_ms)
    VALUES (in_group, in_name, in_from_start, 0, in_made_ms);
  END IF;
  UPDATE conversation c SET group_version = c.group_version + 1
   WHERE c.conversation_id = in_group AND c.group_version = in_version
  RETURNING c.last_seq INTO before_seq;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  SELECT g.from_start INTO is_from_start FROM conversation_group g WHERE g.conversation_id = in_group;
  DELETE FROM conversation_member m WHERE m.conversation_id = in_group AND m.user_id = ANY (in_removed);
  INSERT INTO conversation_member AS m (conversation_id, user_id, joined_seq, role)
  SELECT in_group, u.id, CASE WHEN is_from_start THEN 0 ELSE before_seq END, u.role
    FROM unnest(in_users, in_roles) AS u(id, role)
  ON CONFLICT (conversation_id, user_id) DO UPDATE SET role = excluded.role;
  UPDATE conversation_group g
     SET name = coalesce(in_name, g.name),
         member_count = (SELECT count(*) FROM conversation_member m WHERE m.conversation_id = in_group)
   WHERE g.conversation_id = in_group;
  RETURN true;
END $$;

-- For an append that has read the members of groups at these versions, after it has locked their conversations: fails, and undoes
-- the append, when one of them is at another version.
CREATE FUNCTION require_group_versions_v1(in_groups text[], in_versions bigint[]) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM unnest(in_groups, in_versions) AS g(id, version)
               JOIN conversation c ON c.conversation_id = g.id WHERE c.group_version <> g.version) THEN
    RAISE EXCEPTION 'the members of a group have changed' USING ERRCODE = 'IM001';
  END IF;
  RETURN true;
END $$;
