-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- Who still has to be pushed to, so that a lost Redis loses no push. An append leaves one row in push_outbox, whatever
-- the size of its batch. When the row is some seconds old, its users are looked at: who has neither acknowledged nor been
-- pushed to goes to push_owed, and the row is gone. Nothing is scanned: the work follows the appends, not the users.

-- Recipients of one append (never the senders of what they got), with the inbox seq of the last message each.
CREATE TABLE push_outbox (
  outbox_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  stored_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  user_ids  text[] NOT NULL,
  seqs      bigint[] NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
-- Ids do not compress; trying costs more than it saves.
ALTER TABLE push_outbox ALTER COLUMN user_ids SET STORAGE EXTERNAL, ALTER COLUMN seqs SET STORAGE EXTERNAL;

-- How far each user's inbox was pushed: accepted by a provider, or given up. Everything up to it needs no push any more.
CREATE TABLE push_mark (
  user_id text COLLATE "C" PRIMARY KEY,
  seq     bigint NOT NULL
) WITH (fillfactor = 70);

-- Pushes that are late. Nobody takes one before free_at: it is in somebody's hand, or waits for its next try.
CREATE TABLE push_owed (
  user_id text COLLATE "C" PRIMARY KEY,
  seq     bigint NOT NULL,
  tries   int NOT NULL DEFAULT 0,
  free_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX push_owed_free ON push_owed (free_at);
