-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- What extlogic keeps about reaching people who are away. Every key starts with user_id, the distribution column.

-- Set when a provider said that the device's push token is dead; the token itself is forgotten then.
ALTER TABLE device ADD COLUMN push_invalid_at timestamptz;
-- Last push that only woke the app, ms since 1970.
ALTER TABLE device ADD COLUMN push_background_ms bigint NOT NULL DEFAULT 0;

-- Addresses that are no devices, and the user's time zone. Written by the business.
CREATE TABLE push_contact (
  user_id    text COLLATE "C" PRIMARY KEY,
  phone      text NOT NULL DEFAULT '',
  wechat     text NOT NULL DEFAULT '',
  time_zone  text NOT NULL DEFAULT '',
  updated_at timestamptz NOT NULL DEFAULT now(),
  invalid_at timestamptz
);

-- Steps of the escalation that wait: a delay, the end of quiet hours, a provider's Retry-After. A row that is taken in
-- hand gets due_ms of the end of its lease, so that another process takes it when the first one dies.
CREATE TABLE push_step (
  user_id         text COLLATE "C" NOT NULL,
  conversation_id text COLLATE "C" NOT NULL,
  channel         text COLLATE "C" NOT NULL,
  device_id       text COLLATE "C" NOT NULL,
  alone_seq       bigint NOT NULL,
  first_seq       bigint NOT NULL,
  last_seq        bigint NOT NULL,
  attempts        int NOT NULL,
  reached         boolean NOT NULL,
  created_ms      bigint NOT NULL,
  due_ms          bigint NOT NULL,
  leased          boolean NOT NULL,
  PRIMARY KEY (user_id, conversation_id, channel, device_id, alone_seq)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX push_step_due ON push_step (due_ms);

-- Pushes of the present day per user and channel. One row each for ever: a new day starts it again at 0.
CREATE TABLE push_quota (
  user_id text COLLATE "C" NOT NULL,
  channel text COLLATE "C" NOT NULL,
  day     int NOT NULL,
  sent    int NOT NULL,
  -- What the last request got: the answer of the upsert.
  granted int NOT NULL,
  PRIMARY KEY (user_id, channel)
) WITH (fillfactor = 70);
