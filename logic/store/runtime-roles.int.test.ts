// SPDX-License-Identifier: Apache-2.0
// The roles that a migration makes itself, as for the embedded database, on a server that asks for passwords.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import pg from "pg";
import { ErrorCode } from "#lib/errors.ts";
import { silentLogger } from "#lib/logger.ts";
import { type PostgresServer, sharedPostgres, startPostgres } from "../../e2e/harness/postgres.ts";
import { waitUntil } from "../../e2e/harness/processes.ts";
import { askForPasswords, runSql, WRONG_PASSWORD } from "../../e2e/harness/runtime-role.ts";
import { ServiceProcess } from "../../e2e/harness/service-process.ts";
import { message, user } from "./contract/fixture.ts";
import { migrate } from "./migrate.ts";
import { openPostgresStore } from "./postgres-store.ts";
import { DENIED, runtimeRoleContract } from "./runtime-role.contract.ts";
import { scramVerifier } from "./runtime-roles.ts";
import { TABLE_OWNER } from "./table-owner.ts";

const ROLES = ["imcluster_logic", "imcluster_extlogic"] as const;

describe("roles that a migration makes", () => {
  let server: PostgresServer;
  /** As the operator names them: whose database it is, and the users of logic and extlogic. */
  let ownerUrl: string;
  let urls: Record<(typeof ROLES)[number], string>;

  const urlOf = (role: string, password: string, database = "im"): string => {
    const url = new URL(server.urlOf(database));
    [url.username, url.password] = [role, password];
    return url.href;
  };
  const migrateAll = (to: typeof urls): Promise<string[]> =>
    migrate({
      ...{ url: ownerUrl, runtimeUrl: to.imcluster_logic, extlogicUrl: to.imcluster_extlogic },
      ...{ makesRoles: true, log: silentLogger },
    });

  before(async () => {
    server = await startPostgres();
    ownerUrl = urlOf("im", "owner-secret");
    urls = {
      imcluster_logic: urlOf(ROLES[0], "-logic_secret"),
      imcluster_extlogic: urlOf(ROLES[1], "ext'logic\\secret"),
    };
    await server.query("CREATE ROLE im SUPERUSER LOGIN PASSWORD 'owner-secret'");
    await server.query("CREATE DATABASE im OWNER im");
    await askForPasswords(server);
    await migrateAll(urls);
    await runSql(
      ownerUrl,
      "INSERT INTO api_audit (tenant, at_ms, key_id, operation, target, status) VALUES ('', api_now_ms(), 'k', 'o', 't', 200)",
    );
  });
  after(() => server.stop());

  it("let in with their own password only, and nobody without one", async () => {
    for (const role of ROLES) {
      await runSql(urls[role], "SELECT 1 FROM message");
      await assert.rejects(runSql(urlOf(role, "wrong"), "SELECT 1"), { code: WRONG_PASSWORD });
    }
    await assert.rejects(runSql(urlOf(ROLES[0], "ext'logic\\secret"), "SELECT 1"), { code: WRONG_PASSWORD });
    await server.query("CREATE ROLE stranger LOGIN PASSWORD 'stranger'");
    await assert.rejects(runSql(urlOf("stranger", "stranger"), "SELECT 1"), { code: DENIED });
  });

  it("keep messages, and make and drop partitions", async () => {
    for (const role of ROLES) {
      const store = await openPostgresStore({ url: urls[role], startTimeoutMs: 5000 });
      try {
        const [stored] = await store.append([message({ sender: user(), peer: user() })]);
        assert.ok(stored);
        assert.equal(await store.retention.rollPartitions(0, 4), "");
      } finally {
        await store.close();
      }
    }
  });

  /** Who owns anything in the schema, and whether somebody may become a superuser by a function. */
  const OWNERS = `SELECT array(
    SELECT pg_get_userbyid(relowner)::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION SELECT pg_get_userbyid(proowner)::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'public') AS owners`;

  async function ownersOf(url: string): Promise<unknown> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      return (await client.query<{ owners: string[] }>(OWNERS)).rows[0]?.owners;
    } finally {
      await client.end();
    }
  }

  it("are no superusers, and own nothing: another one does, who is none either, and as whom nobody logs in", async () => {
    const flags = "rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolcanlogin";
    const rows = await server.query(
      `SELECT ${flags} FROM pg_roles WHERE rolname IN ('${[...ROLES, TABLE_OWNER].join("','")}') ORDER BY rolname = '${TABLE_OWNER}'`,
    );
    const none = Array<boolean>(5).fill(false);
    assert.deepEqual(rows, [
      [...none, true],
      [...none, true],
      [...none, false],
    ]);
    assert.deepEqual(await ownersOf(ownerUrl), [TABLE_OWNER]);
  });

  it("take over a database that has lived with one user, who goes on, and what that one adds later", async () => {
    await server.query("CREATE DATABASE before OWNER im");
    const at = (url: string): string => url.replace(/im$/, "before");
    const one = at(ownerUrl);
    const migrateBefore = () =>
      migrate({
        ...{ url: one, runtimeUrl: at(urls.imcluster_logic), extlogicUrl: at(urls.imcluster_extlogic) },
        ...{ makesRoles: true, log: silentLogger },
      });
    await migrate({ url: one, log: silentLogger });
    const store = await openPostgresStore({ url: one, startTimeoutMs: 5000 });
    try {
      await store.append([message({ sender: user(), peer: user() })]);
      assert.ok(((await ownersOf(one)) as string[]).includes("im"));
      assert.deepEqual(await migrateBefore(), []);
      assert.deepEqual(await ownersOf(one), [TABLE_OWNER]);
      await store.append([message({ sender: user(), peer: user() })]);
      assert.equal(await store.retention.rollPartitions(0, 6), "");
      assert.deepEqual(await ownersOf(one), [TABLE_OWNER], "retention makes nothing of anybody else's");
    } finally {
      await store.close();
    }
    await runSql(one, "CREATE TABLE later (id serial, a int GENERATED ALWAYS AS IDENTITY); CREATE SEQUENCE alone");
    await runSql(
      one,
      'CREATE VIEW "a ""view" AS SELECT 1; CREATE FUNCTION "f"(a int[]) RETURNS int LANGUAGE sql RETURN 1',
    );
    assert.deepEqual(await migrateBefore(), []);
    assert.deepEqual(await ownersOf(one), [TABLE_OWNER]);
    await runSql(at(urls.imcluster_extlogic), "SELECT 1 FROM later");
    await assert.rejects(runSql(at(urls.imcluster_extlogic), "DROP TABLE later"), { code: DENIED });
  });

  it("wait for a table that somebody else has locked, and let others through meanwhile", async () => {
    await runSql(ownerUrl, "ALTER TABLE conversation OWNER TO im");
    const holder = new pg.Client({ connectionString: ownerUrl });
    await holder.connect();
    try {
      await holder.query("BEGIN; LOCK TABLE conversation IN ACCESS SHARE MODE");
      let waits = 0;
      const log = { ...silentLogger, info: () => void waits++ };
      const migrating = migrate({
        ...{ url: ownerUrl, runtimeUrl: urls.imcluster_logic, extlogicUrl: urls.imcluster_extlogic },
        ...{ makesRoles: true, log },
      });
      await waitUntil("it waits", () => waits > 0);
      await holder.query("COMMIT");
      assert.deepEqual(await migrating, []);
    } finally {
      await holder.end();
    }
    assert.deepEqual(await ownersOf(ownerUrl), [TABLE_OWNER]);
  });

  for (const role of ROLES)
    describe(role, () => {
      let client: pg.Client;
      before(async () => {
        client = new pg.Client({ connectionString: urls[role] });
        client.on("error", () => undefined);
        await client.connect();
      });
      after(() => client.end());
      runtimeRoleContract(() => client);

      it("may not become another one, and not change passwords", async () => {
        const other = ROLES.find((one) => one !== role);
        for (const statement of [
          "SET ROLE im",
          `SET ROLE ${TABLE_OWNER}`,
          `SET ROLE ${other}`,
          `ALTER ROLE ${other} PASSWORD 'x'`,
        ])
          await assert.rejects(client.query(statement), { code: DENIED }, statement);
      });
    });

  it("get the password of their URL again, and connections that are open go on", async () => {
    const open = new pg.Client({ connectionString: urls.imcluster_logic });
    await open.connect();
    const changed = { ...urls, imcluster_logic: urlOf(ROLES[0], "another") };
    try {
      await migrateAll(changed);
      await open.query("SELECT 1 FROM message");
    } finally {
      await open.end();
    }
    await runSql(changed.imcluster_logic, "SELECT 1 FROM message");
    await assert.rejects(runSql(urls.imcluster_logic, "SELECT 1"), { code: WRONG_PASSWORD });
    urls = changed;
  });

  it("are made by the program, once for two at a time", async () => {
    const dir = mkdtempSync(join(tmpdir(), "im-migrate-"));
    const env = {
      ...{ IM_POSTGRES_URL: urls.imcluster_logic, IM_EXTLOGIC_POSTGRES_URL: urls.imcluster_extlogic },
      ...{ IM_MIGRATE_POSTGRES_URL: ownerUrl, IM_MIGRATE_MAKES_ROLES: "true" },
    };
    try {
      const codes = [0, 1].map(async (at) => {
        const names = { name: "migrate", script: "logic/migrate.ts", adminPort: 0, logPath: join(dir, `log-${at}`) };
        const program = new ServiceProcess({ ...names, env });
        await program.start();
        return (await program.waitExit(60_000)).code;
      });
      assert.deepEqual(await Promise.all(codes), [0, 0]);
      for (let round = 0; round < 3; round++) await Promise.all([0, 1, 2].map(() => migrateAll(urls)));
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it("are never superusers, and have a password", async () => {
    const wrong = (url: string) => migrateAll({ ...urls, imcluster_logic: url });
    const refused = (told: RegExp) => ({ code: ErrorCode.BAD_REQUEST, message: told });
    await assert.rejects(wrong(urlOf("postgres", "x")), refused(/the role "postgres" is a superuser/));
    await assert.rejects(wrong(urlOf(ROLES[0], "")), refused(/needs a user and a password/));
    await assert.rejects(wrong(urlOf(ROLES[0], "pass wörd")), refused(/printable ASCII/));
  });
});

describe("a verifier", () => {
  it("is the one that PostgreSQL makes of the same password and salt", async () => {
    const server = await sharedPostgres();
    await server.query("CREATE ROLE scram PASSWORD 'pass-w0rd'");
    const [[kept]] = (await server.query("SELECT rolpassword FROM pg_authid WHERE rolname = 'scram'")) as [[string]];
    const salt = Buffer.from(kept.split(/[:$]/)[2] ?? "", "base64");
    assert.equal(scramVerifier("pass-w0rd", salt), kept);
    assert.notEqual(scramVerifier("pass-w0rd"), scramVerifier("pass-w0rd"));
  });
});
