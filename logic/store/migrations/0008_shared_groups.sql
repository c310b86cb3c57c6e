-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- The groups of a user: who shares one may see its presence. Memberships change rarely.
CREATE INDEX conversation_member_user ON conversation_member (user_id, joined_at);
