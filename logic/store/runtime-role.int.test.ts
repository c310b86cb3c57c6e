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
import { DENIED, runtimeRoleContract } from "./runtime-role.contract.ts";

const MONTH_MS = 31 * 86_400_000;

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

  runtimeRoleContract(() => client);

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
      message:
        'PostgreSQL has no role "nobody_here", the user of IM_POSTGRES_URL or IM_EXTLOGIC_POSTGRES_URL: create it first',
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
    assert.throws(
      () => runtimeRoleOf("postgres://h/d", "postgres://own@h/d"),
      /IM_POSTGRES_URL or IM_EXTLOGIC_POSTGRES_URL names no user/,
    );
  });
});
