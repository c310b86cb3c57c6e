-- SPDX-License-Identifier: Apache-2.0
-- Up Migration
--
-- A backup from before there was a floor, restored and given a new epoch, and only then brought up to date: its floor would
-- be 0, and logins would get numbers again that were given. From here on they go on above all of them, whatever came before.
UPDATE store_meta SET login_floor = greatest(login_floor, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
 WHERE EXISTS (SELECT FROM session_slot);
