// SPDX-License-Identifier: Apache-2.0
// What no role of the runtime may do, whoever made it.
import assert from "node:assert/strict";
import { it } from "node:test";
import type pg from "pg";

/** "insufficient_privilege". */
export const DENIED = "42501";
const OWNER_ONLY = ["message", "inbox", "conversation", "api_audit", "schema_migration"] as const;

const FORBIDDEN: readonly string[] = [
  ...OWNER_ONLY.flatMap((table) => [
    `DROP TABLE ${table} CASCADE`,
    `ALTER TABLE ${table} ADD COLUMN extra text`,
    `ALTER TABLE ${table} DISABLE TRIGGER ALL`,
    `TRUNCATE ${table} CASCADE`,
  ]),
  "CREATE TABLE mine (a int)",
  "CREATE TEMP TABLE message (a int)",
  "CREATE TABLE message_y2099m01 PARTITION OF message FOR VALUES FROM (4070908800000) TO (4073587200000)",
  "CREATE UNIQUE INDEX mine ON message (sender, created_ms)",
  "CREATE VIEW mine AS SELECT 1",
  "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
  "CREATE OR REPLACE FUNCTION api_audit_guard() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
  "DROP FUNCTION append_v1",
  "CREATE TRIGGER mine BEFORE DELETE ON message FOR EACH ROW EXECUTE FUNCTION api_audit_guard()",
  "DROP TRIGGER api_audit_guard ON api_audit",
  "CREATE RULE mine AS ON DELETE TO message DO INSTEAD NOTHING",
  "CREATE SCHEMA mine",
  "DROP SCHEMA public CASCADE",
  "CREATE EXTENSION dblink",
  "CREATE ROLE mine SUPERUSER",
  "CREATE DATABASE mine",
  "CREATE PUBLICATION mine FOR TABLE message",
  "COPY message TO PROGRAM 'cat'",
  "COPY message FROM PROGRAM 'cat'",
  "COPY message TO '/tmp/message'",
  "SELECT * FROM pg_authid",
  "SELECT * FROM schema_migration",
  "INSERT INTO schema_migration (name, run_on) VALUES ('9999_mine', now())",
  "DELETE FROM api_audit",
  "SELECT ensure_message_partitions('2099-01-01'::date, 1)",
  "SELECT pg_read_file('/etc/passwd')",
  "SELECT pg_ls_dir('/')",
  "SELECT lo_import('/etc/passwd')",
  "SELECT pg_reload_conf()",
  "ALTER SYSTEM SET fsync = off",
  "SET session_replication_role = replica",
];

/** What runs in no transaction. */
const ALONE = /^(CREATE DATABASE|ALTER SYSTEM)/;

/** Tests for a role in a migrated database whose api_audit has a row: `client` is connected as it. */
export function runtimeRoleContract(client: () => pg.Client): void {
  it("is tried with at least 40 statements", () => assert.ok(FORBIDDEN.length >= 40, String(FORBIDDEN.length)));

  for (const statement of FORBIDDEN) {
    it(`may not: ${statement}`, async () => {
      // In a transaction: what is not refused would change what the others find.
      await client().query(ALONE.test(statement) ? "SELECT 1" : "BEGIN");
      try {
        await assert.rejects(client().query(statement), { code: DENIED });
      } finally {
        await client().query("ROLLBACK");
      }
    });
  }
}
