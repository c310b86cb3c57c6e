// SPDX-License-Identifier: Apache-2.0
// What the role of logic and extlogic may not do. What it may, the store's contract says: it runs as this role.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import pg from "pg";
import { ErrorCode } from "#lib/errors.ts";
import { silentLogger } from "#lib/logger.ts";
import { newTwoRoles, runSql, type TwoRoles } from "../../e2e/harness/runtime-role.ts";
import { ServiceProcess } from "../../e2e/harness/service-process.ts";
import { migrate } from "./migrate.ts";
import { openPostgresStore } from "./postgres-store.ts";
import { runtimeRoleOf } from "./runtime-grants.ts";

/** "insufficient_privilege". */
const DENIED = "42501";
const MONTH_MS = 31 * 86_400_000;
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

describe("the runtime's role", () => {
  let urls: TwoRoles;
  let client: pg.Client;
  before(async () => {
    urls = await newTwoRoles("runtime_role");
    await runSql(
      urls.adminUrl,
      "INSERT INTO api_audit (tenant, at_ms, key_id, operation, target, status) VALUES ('', api_now_ms(), 'k', 'o', 't', 200)",
    );
    client = new pg.Client({ connectionString: urls.runtimeUrl });
    client.on("error", () => undefined);
    await client.connect();
  });
  after(() => client.end());

  it("is tried with at least 40 statements", () => assert.ok(FORBIDDEN.length >= 40, String(FORBIDDEN.length)));

  for (const statement of FORBIDDEN) {
    it(`may not: ${statement}`, async () => {
      // In a transaction: what is not refused would change what the others find.
      await client.query(ALONE.test(statement) ? "SELECT 1" : "BEGIN");
      try {
        await assert.rejects(client.query(statement), { code: DENIED });
      } finally {
        await client.query("ROLLBACK");
      }
    });
  }

  it("makes and drops partitions through retention only, whatever its search_path", async () => {
    const month =
      "SELECT to_regclass('message' || to_char(now() + interval '6 months', '\"_y\"YYYY\"m\"MM')) IS NOT NULL AS made";
    const store = await openPostgresStore({ url: urls.runtimeUrl, startTimeoutMs: 5000 });
    try {
      assert.equal(await store.retention.rollPartitions(0, 6), "");
      assert.deepEqual((await client.query(month)).rows, [{ made: true }]);
      // The partitions of a month ago are too old by now: each round drops one.
      assert.match((await store.retention.rollPartitions(Date.now(), 0)) ?? "", /^inbox_y\d{4}m\d{2}$/);
      assert.ok(await store.retention.sweep("message_default", { cutoffMs: MONTH_MS, tenantCutoffsMs: new Map() }, 10));
    } finally {
      await store.close();
    }
    const { rows } = await client.query("SELECT proconfig FROM pg_proc WHERE prosecdef ORDER BY proname");
    assert.deepEqual(rows, Array(2).fill({ proconfig: ["search_path=public, pg_temp"] }));
  });

  it("gets what a later migration adds, and keeps what it has when migrated again", async () => {
    await runSql(urls.migrationUrl, "CREATE TABLE later (a int)");
    await assert.rejects(client.query("SELECT * FROM later"), { code: DENIED });
    await migrate({ url: urls.migrationUrl, runtimeUrl: urls.runtimeUrl, log: silentLogger });
    assert.deepEqual((await client.query("SELECT * FROM later")).rows, []);
    await assert.rejects(client.query("SELECT * FROM schema_migration"), { code: DENIED });
  });

  it("is granted rows by the program, whose file with the owner's URL need not be there", async () => {
    const dir = mkdtempSync(join(tmpdir(), "im-migrate-"));
    try {
      const file = join(dir, "url");
      const run = async (url: string): Promise<number | null> => {
        const env = { IM_POSTGRES_URL: url, IM_MIGRATE_POSTGRES_URL_FILE: file };
        const names = { name: "migrate", script: "logic/migrate.ts", adminPort: 0, logPath: join(dir, "log") };
        const program = new ServiceProcess({ ...names, env });
        await program.start();
        return (await program.waitExit(60_000)).code;
      };
      assert.equal(await run(urls.migrationUrl), 0);
      await runSql(urls.migrationUrl, "CREATE TABLE latest (a int)");
      assert.equal(await run(urls.runtimeUrl), 1, "it may not look at what was migrated");
      writeFileSync(file, `${urls.migrationUrl}\n`);
      assert.equal(await run(urls.runtimeUrl), 0);
      assert.deepEqual((await client.query("SELECT * FROM latest")).rows, []);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it("is named when it does not exist", async () => {
    const runtimeUrl = urls.runtimeUrl.replace(/imcluster_runtime\w*/, "nobody_here");
    await assert.rejects(migrate({ url: urls.migrationUrl, runtimeUrl, log: silentLogger }), {
      message: 'PostgreSQL has no role "nobody_here", the user of IM_POSTGRES_URL: create it first',
      code: ErrorCode.BAD_REQUEST,
    });
  });
});

describe("whom a migration grants rows to", () => {
  it("is the user of the other URL", () => {
    assert.equal(runtimeRoleOf("postgres://im%40run:x@h/d", "postgres://own:y@h/d"), "im@run");
  });

  it("is nobody when both are the same", () => {
    assert.equal(runtimeRoleOf("postgres://im:x@h/d", "postgres://im:x@h/d"), undefined);
    assert.equal(runtimeRoleOf("postgres://im:x@h/d", "postgres://im:x@other/d"), undefined);
  });

  it("must have a name", () => {
    assert.throws(() => runtimeRoleOf("postgres://h/d", "postgres://own@h/d"), /IM_POSTGRES_URL names no user/);
  });
});
