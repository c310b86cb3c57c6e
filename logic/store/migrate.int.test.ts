// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import pg from "pg";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { silentLogger } from "#lib/logger.ts";
import { type PostgresServer, startPostgres } from "../../e2e/harness/postgres.ts";
import { startProcess } from "../../e2e/harness/processes.ts";
import { migrate } from "./migrate.ts";
import { readMigrations } from "./migration-files.ts";
import { applyMigrations } from "./migration-runner.ts";
import { openPostgresStore } from "./postgres-store.ts";

const ROOT = join(import.meta.dirname, "../..");
const FILES = readdirSync(new URL("migrations", import.meta.url));

/** The schema as it was before the migration of this number. */
function migrateUntil(databaseUrl: string, number: string): Promise<void> {
  return migrateSome(databaseUrl, (file) => file < number);
}

async function migrateSome(url: string, isWanted: (file: string) => boolean): Promise<void> {
  const migrations = await readMigrations(join(import.meta.dirname, "migrations"));
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await applyMigrations(
      client,
      migrations.filter(({ name }) => isWanted(name)),
      () => undefined,
    );
  } finally {
    await client.end();
  }
}

async function query(url: string, text: string): Promise<unknown[][]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query({ text, rowMode: "array" })).rows;
  } finally {
    await client.end();
  }
}

async function runMain(env: Record<string, string>): Promise<{ code: number | null; output: string }> {
  const main = await startProcess({
    name: "migrate",
    command: process.execPath,
    args: ["logic/migrate.ts"],
    cwd: ROOT,
    env: { PATH: process.env.PATH, ...env },
  });
  const { code } = await main.waitForExit(120_000);
  return { code, output: main.output };
}

describe("migrate", () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server.stop());

  it("makes the schema once, whoever comes first", async () => {
    const url = await server.createDatabase("fresh");
    const applied = await Promise.all([1, 2, 3].map(() => migrate({ url, log: silentLogger })));
    assert.deepEqual(applied.map((names) => names.length).sort(), [0, 0, FILES.length]);
    assert.deepEqual(await migrate({ url, log: silentLogger }), []);
    const store = await openPostgresStore({ url });
    await store.close();
  });

  it("makes up for a part of the chat that came later than one behind it", async () => {
    const url = await server.createDatabase("gap");
    // The server API was there before broadcasts and rules were.
    const wasThere = (file: string): boolean => file < "0015" || file.startsWith("0017");
    await migrateSome(url, wasThere);
    const missing = FILES.filter((file) => !wasThere(file)).map((file) => file.replace(/\.sql$/, ""));
    assert.deepEqual(await migrate({ url, log: silentLogger }), missing);
    assert.deepEqual(await migrate({ url, log: silentLogger }), []);
  });

  it("has partitions for last month and for each of the next three", async () => {
    const url = await server.createDatabase("partitions");
    await migrate({ url, log: silentLogger });
    const rows = await query(
      url,
      `SELECT name, to_regclass(name)::text
         FROM (SELECT parent || to_char(date_trunc('month', now()) + n * interval '1 month', '"_y"YYYY"m"MM') AS name
                 FROM generate_series(-1, 3) n, unnest(ARRAY['message', 'inbox']) AS parent) p`,
    );
    for (const [expected, found] of rows) assert.equal(found, expected);
  });

  it("keeps working when messages of a month are in the default partition", async () => {
    const url = await server.createDatabase("defaulted");
    await migrate({ url, log: silentLogger });
    await query(
      url,
      `INSERT INTO message VALUES ('c', 1, (extract(epoch FROM timestamp '2040-05-15') * 1000)::bigint,
      gen_random_uuid(), 's', 'k', '', '')`,
    );
    assert.deepEqual(await query(url, "SELECT ensure_message_partitions('2040-04-01', 3)"), [[5]]);
    assert.deepEqual(await query(url, "SELECT tableoid::regclass::text FROM message"), [["message_default"]]);
  });

  it("lets statements through while it waits for the lock of a dump", async () => {
    const url = await server.createDatabase("dumped");
    // The next one alters a table that every message reads.
    await migrateUntil(url, "0009");
    const dump = new pg.Client({ connectionString: url });
    await dump.connect();
    try {
      await dump.query("BEGIN; LOCK TABLE store_meta IN ACCESS SHARE MODE");
      const waiting = Promise.withResolvers<void>();
      const log = { ...silentLogger, info: (fields: object) => "tries" in fields && waiting.resolve() };
      const migrating = migrate({ url, log });
      await Promise.race([waiting.promise, migrating]);
      await query(url, "SET statement_timeout = 900; SELECT inbox_epoch FROM store_meta");
      await dump.query("COMMIT");
      const later = FILES.filter((name) => name >= "0009").map((name) => name.replace(".sql", ""));
      assert.deepEqual(await migrating, later);
    } finally {
      await dump.end();
    }
  });

  it("numbers logins above all earlier ones in a backup from before there was a floor", async () => {
    const url = await server.createDatabase("old_backup");
    await migrateUntil(url, "0010");
    await query(
      url,
      "INSERT INTO session_slot (user_id, slot, login_seq, window_ms, window_logins) VALUES ('ann', 'mobile', 7, 0, 1)",
    );
    assert.deepEqual(await query(url, "SELECT login_floor FROM store_meta"), [["0"]]);
    const beforeMs = Date.now() - 60_000;
    await migrate({ url, log: silentLogger });
    const [[floor] = []] = await query(url, "SELECT login_floor FROM store_meta");
    assert.ok(Number(floor) > beforeMs, String(floor));
  });

  it("a store of an empty database says what to run", async () => {
    const url = await server.createDatabase("empty");
    await assert.rejects(openPostgresStore({ url, startTimeoutMs: 1000 }), /run logic\/migrate\.ts/);
  });

  it("a store opens as soon as the schema is there", async () => {
    const url = await server.createDatabase("late");
    const opening = openPostgresStore({ url });
    await migrate({ url, log: silentLogger });
    await (await opening).close();
  });

  it("does not wait when it is refused", async () => {
    const refused = (error: unknown): boolean => error instanceof ImError && error.code === ErrorCode.BAD_REQUEST;
    await assert.rejects(migrate({ url: server.urlOf("no_such_database"), log: silentLogger }), refused);
    await assert.rejects(migrate({ url: server.url.replace("postgres@", "nobody@"), log: silentLogger }), refused);
  });

  it("the process waits for a server that comes later, and exits 0", async () => {
    const url = await server.createDatabase("process");
    await server.stopServer();
    const ended = runMain({ IM_POSTGRES_URL: url });
    await server.start();
    const { code, output } = await ended;
    assert.equal(code, 0, output);
    assert.match(output, /brought up to date/);
    assert.match((await runMain({ IM_POSTGRES_URL: url })).output, /schema is current/);
  });

  it("the process exits 2 for a bad configuration and 1 for a failure, and says why", async () => {
    const unset = await runMain({});
    assert.equal(unset.code, 2);
    assert.match(unset.output, /IM_POSTGRES_URL: is required/);
    const away = await runMain({ IM_POSTGRES_URL: "postgres://x@127.0.0.1:1/x", IM_MIGRATE_WAIT_MS: "100" });
    assert.equal(away.code, 1);
    assert.match(away.output, /ECONNREFUSED/);
  });
});
