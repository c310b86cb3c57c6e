// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import pg from "pg";
import { ErrorCode } from "#lib/errors.ts";
import { silentLogger } from "#lib/logger.ts";
import { type PostgresServer, startPostgres } from "../../e2e/harness/postgres.ts";
import { migrate } from "./migrate.ts";
import { type Migration, readMigrations } from "./migration-files.ts";
import { applyMigrations } from "./migration-runner.ts";

const OWN = join(import.meta.dirname, "migrations");
/** What node-pg-migrate 9.0.0 made of a database that had none, and where it left it. */
const MADE_BY_NODE_PG_MIGRATE = [
  `CREATE TABLE "public"."schema_migration" ("id" SERIAL PRIMARY KEY, "name" varchar(255) NOT NULL, "run_on" timestamp NOT NULL)`,
  `INSERT INTO "public"."schema_migration" (name, run_on) VALUES ('0001_initial', NOW());`,
];
const LOCK_OF_NODE_PG_MIGRATE = "7241865325823964";
const FIRST: Migration = { name: "0001_a", sql: "CREATE TABLE a (n int); INSERT INTO a VALUES (1)" };
const BAD: Migration = { name: "0002_b", sql: "INSERT INTO a VALUES (2);\n\nINSERT INTO a VALUES (no_such)" };
const LAST: Migration = { name: "0003_c", sql: "INSERT INTO a VALUES (3)" };

describe("the migration runner", () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server.stop());

  async function onDatabase(name: string, run: (client: pg.Client, url: string) => Promise<void>): Promise<void> {
    const url = await server.createDatabase(name);
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      await run(client, url);
    } finally {
      await client.end();
    }
  }

  async function apply(client: pg.Client, ...migrations: Migration[]): Promise<string[]> {
    const applied: string[] = [];
    await applyMigrations(client, migrations, (name) => applied.push(name));
    return applied;
  }

  async function column(client: pg.Client, text: string): Promise<unknown[]> {
    return (await client.query<unknown[]>({ text, rowMode: "array" })).rows.map(([value]) => value);
  }

  const locks = (client: pg.Client): Promise<unknown[]> =>
    column(client, "SELECT objid FROM pg_locks WHERE locktype = 'advisory'");

  it("undoes a migration that fails, says which and where, and goes on with it later", () =>
    onDatabase("failing", async (client) => {
      const applied: string[] = [];
      const failing = applyMigrations(client, [FIRST, BAD, LAST], (name) => applied.push(name));
      await assert.rejects(failing, { code: ErrorCode.INTERNAL, message: /migration 0002_b, line 3: .*no_such/ });
      assert.deepEqual(applied, ["0001_a"]);
      assert.deepEqual(await column(client, "SELECT n FROM a"), [1]);
      assert.deepEqual(await locks(client), []);
      assert.deepEqual(await apply(client, FIRST, { ...BAD, sql: "INSERT INTO a VALUES (2)" }, LAST), [
        "0002_b",
        "0003_c",
      ]);
      assert.deepEqual(await column(client, "SELECT n FROM a ORDER BY n"), [1, 2, 3]);
      assert.deepEqual(await column(client, "SELECT name FROM schema_migration ORDER BY id"), [
        "0001_a",
        "0002_b",
        "0003_c",
      ]);
    }));

  it("undoes a migration whose row cannot be written", () =>
    onDatabase("rowless", async (client) => {
      const long = { name: `0002_${"b".repeat(255)}`, sql: "INSERT INTO a VALUES (2)" };
      await assert.rejects(apply(client, FIRST, long), { message: /SQLSTATE 22001/ });
      assert.deepEqual(await column(client, "SELECT n FROM a"), [1]);
    }));

  it("keeps the migration and its row together when the session is lost in between", () =>
    onDatabase("lost", async (client, url) => {
      const lost = new pg.Client({ connectionString: url });
      lost.on("error", () => undefined);
      await lost.connect();
      const migrations = [
        FIRST,
        { name: "0002_b", sql: "INSERT INTO a VALUES (2); SELECT pg_terminate_backend(pg_backend_pid())" },
      ];
      await assert.rejects(
        applyMigrations(lost, migrations, () => undefined),
        { code: ErrorCode.RETRYABLE, message: /migration 0002_b: / },
      );
      assert.deepEqual(await column(client, "SELECT n FROM a"), [1]);
      assert.deepEqual(await apply(client, FIRST, LAST), ["0003_c"]);
    }));

  it("goes on where node-pg-migrate was, and has nothing to do where it was ready", () =>
    onDatabase("earlier", async (client, url) => {
      const [initial] = await readMigrations(OWN);
      for (const text of [initial?.sql ?? "", ...MADE_BY_NODE_PG_MIGRATE]) await client.query(text);
      const applied = await migrate({ url, log: silentLogger });
      assert.equal(applied[0], "0002_push_ledger");
      assert.deepEqual(await migrate({ url, log: silentLogger }), []);
      assert.deepEqual(await column(client, "SELECT name FROM schema_migration ORDER BY id"), [
        "0001_initial",
        ...applied,
      ]);
    }));

  it("waits for a node-pg-migrate of the version before, which is at work", () =>
    onDatabase("beside", async (client, url) => {
      await client.query(`SELECT pg_advisory_lock(${LOCK_OF_NODE_PG_MIGRATE})`);
      const waiting = Promise.withResolvers<void>();
      const log = { ...silentLogger, info: (fields: object) => "tries" in fields && waiting.resolve() };
      const migrating = migrate({ url, log });
      await Promise.race([waiting.promise, migrating]);
      assert.deepEqual(await column(client, "SELECT to_regclass('schema_migration')::text"), [null]);
      await client.query(`SELECT pg_advisory_unlock(${LOCK_OF_NODE_PG_MIGRATE})`);
      assert.equal((await migrating).length, (await readMigrations(OWN)).length);
    }));

  it("leaves alone what a later version applied", () =>
    onDatabase("later", async (client) => {
      await apply(client, FIRST, LAST);
      assert.deepEqual(await apply(client, FIRST), []);
    }));
});
