// SPDX-License-Identifier: Apache-2.0
// The embedded servers: one user for all becomes one user per component while people chat, and none may do another's work.
import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import pg from "pg";
import { createRedis, type Redis, whenReady } from "#lib/redis.ts";
import { DENIED } from "../../logic/store/runtime-role.contract.ts";
import { type Fleet, startFleet } from "../harness/fleet.ts";
import { temporaryFolder } from "../harness/folders.ts";
import { waitUntil } from "../harness/processes.ts";
import { runSql, WRONG_PASSWORD } from "../harness/runtime-role.ts";
import { ServiceProcess } from "../harness/service-process.ts";
import { startWebhookSandbox, type WebhookSandbox } from "../sandbox/webhook.ts";
import { EmbeddedStores, type StoreUser } from "./embedded-stores.ts";
import { assertKept, chat, login, targetOf } from "./fleet-suite.ts";

const ROLES = ["logic", "extlogic"] as const;
const SECRET = "a secret of the test";
const START_MS = 30_000;

let dir = "";
let stores: EmbeddedStores;
let webhook: WebhookSandbox;
let fleet: Fleet;
const opened: Redis[] = [];

/** The file that a process of `role` reads its URL from. */
const urlFile = (role: string, name: string): string => join(dir, `${role}.${name}`);
const urlsOf = (role: string): Record<string, string> =>
  Object.fromEntries(
    ["IM_POSTGRES_URL", "IM_REDIS_URL"].flatMap((name) => [
      [name, ""],
      [`${name}_FILE`, urlFile(role, name)],
    ]),
  );

function urlIn(user: StoreUser, name: string): string {
  return readFileSync(stores.envOf(user)[`${name}_FILE`] ?? "", "utf8");
}

async function openRedis(url: string): Promise<Redis> {
  const redis = createRedis(url, { name: "test", commandTimeoutMs: 20_000 });
  opened.push(redis);
  assert.equal(await whenReady(redis, START_MS), true, new URL(url).username);
  return redis;
}

before(async () => {
  dir = temporaryFolder("imcluster-embedded-");
  [stores, webhook] = await Promise.all([EmbeddedStores.start(dir), startWebhookSandbox({ secret: SECRET })]);
  for (const role of ROLES) {
    writeFileSync(urlFile(role, "IM_POSTGRES_URL"), stores.oneUser.postgres);
    writeFileSync(urlFile(role, "IM_REDIS_URL"), stores.oneUser.redis);
  }
  fleet = await startFleet({
    ...{ entries: 2, logics: 2, extlogics: 1, postgres: stores.postgres, postgresUrl: stores.oneUser.postgres },
    redis: { url: stores.oneUser.redis, flush: () => stores.redis.flush() },
    env: { IM_PING_INTERVAL_MS: "5000" },
    logicEnv: urlsOf("logic"),
    extlogicEnv: { ...urlsOf("extlogic"), IM_PUSH_WEBHOOK_URL: webhook.url, IM_PUSH_WEBHOOK_SECRET: SECRET },
  });
});

after(async () => {
  for (const redis of opened) redis.disconnect();
  await fleet?.stopAll();
  await stores?.stop();
  await webhook?.close();
  rmSync(dir, { recursive: true, force: true });
});

async function migrateAsJob(): Promise<void> {
  const names = { name: "migrate", script: "logic/migrate.ts", adminPort: 0, logPath: join(dir, "migrate.log") };
  const job = new ServiceProcess({ ...names, env: stores.envOf("migrate") });
  await job.start();
  assert.equal((await job.waitExit(60_000)).code, 0, job.logTail());
}

/** From now on the processes of `role` that start are its own user. */
function giveUser(role: (typeof ROLES)[number]): void {
  for (const name of ["IM_POSTGRES_URL", "IM_REDIS_URL"]) writeFileSync(urlFile(role, name), urlIn(role, name));
}

async function replace(process: ServiceProcess): Promise<void> {
  await process.stop(10_000);
  await process.start();
  await process.waitReady();
}

/** Users of PostgreSQL that have a connection of `program`. */
async function usersOf(program: string): Promise<string[]> {
  const rows = await stores.postgres.query(
    `SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = 'im' AND application_name LIKE '%${program}' ORDER BY 1`,
  );
  return rows.map(([name]) => String(name));
}

describe("users of the embedded servers", () => {
  it("take the place of the one user while people chat, and nothing is lost", async () => {
    const [first, second] = fleet.logics;
    const [extlogic] = fleet.extlogics;
    assert.ok(first && second && extlogic);
    const report = await chat(fleet, {
      pairs: [
        { a: targetOf(fleet, "tls", 0), b: targetOf(fleet, "wss", 1) },
        { a: targetOf(fleet, "wss", 0), b: targetOf(fleet, "tls", 1) },
      ],
      messages: 700,
      ratePerSecond: 100,
      nemesis: async (run) => {
        await run.reached(0.1);
        run.note("the migration makes the users");
        await migrateAsJob();
        run.note("logic has its user before Redis knows it");
        giveUser("logic");
        await replace(first);
        await run.reached(0.4);
        run.note("Redis starts again with the users");
        await stores.restartRedis();
        await run.reached(0.6);
        await replace(second);
        giveUser("extlogic");
        await replace(extlogic);
        await run.reached(0.9);
      },
    });
    assertKept(report);
    assert.equal(report.reconnects, 0, "nobody's connection ends");
  });

  it("are who logic and extlogic are then", async () => {
    const admin = await openRedis(stores.oneUser.redis);
    const names = ["logic", "extlogic"].map((role) => `imcluster_${role}`);
    const connected = async (): Promise<string[]> => {
      const clients = String(await admin.call("CLIENT", "LIST"));
      const users = [...clients.matchAll(/ user=(\S+)/g)].map(([, user = ""]) => user);
      return [...new Set(users)].filter((user) => user !== "default").sort();
    };
    await waitUntil("both are connected to Redis", async () => (await connected()).length === 2, START_MS);
    assert.deepEqual(await connected(), names.sort());
    assert.deepEqual(await usersOf("extlogic"), ["imcluster_extlogic"]);
    const all = await stores.postgres.query(
      "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = 'im' AND usename IS NOT NULL ORDER BY 1",
    );
    assert.deepEqual(all, [["imcluster_extlogic"], ["imcluster_logic"]]);
  });

  it("do all of their work, and Redis refuses them nothing in it", async () => {
    const admin = await openRedis(stores.oneUser.redis);
    await admin.call("ACL", "LOG", "RESET");
    const bob = await login(fleet, "bob", targetOf(fleet, "tls", 0));
    await bob.client.close();
    const report = await chat(fleet, {
      pairs: [{ a: targetOf(fleet, "tls", 0), b: targetOf(fleet, "wss", 1) }],
      messages: 200,
    });
    assertKept(report);
    const alice = await login(fleet, "alice", targetOf(fleet, "wss", 1));
    try {
      const away = await alice.client.send({ to: "bob", content: "you are away" });
      const isPushed = (): boolean => webhook.pushes.some(({ messageId }) => messageId === away.messageId);
      await waitUntil("the webhook was called", isPushed, START_MS);
    } finally {
      await alice.client.close();
    }
    assert.deepEqual(await admin.call("ACL", "LOG"), []);
  });

  it("have what the tested list gives, and the rest have nothing", async () => {
    const admin = await openRedis(stores.oneUser.redis);
    const told = (await admin.call("ACL", "LIST")) as string[];
    const file = readFileSync(new URL("../../logic/redis-users.acl", import.meta.url), "utf8")
      .trim()
      .split("\n");
    for (const line of file) {
      const [, name = "", ...rules] = line.split(" ");
      await admin.call("ACL", "SETUSER", `${name}_of_the_file`, ...rules);
    }
    const again = (await admin.call("ACL", "LIST")) as string[];
    const rights = (list: string[], name: string): string =>
      (list.find((line) => line.startsWith(`user ${name} `)) ?? "").replace(/^user \S+ /, "").replace(/#\S+ /, "");
    assert.equal(told.length, 3, "default, logic, extlogic");
    for (const role of ROLES) {
      const expected = rights(again, `imcluster_${role}_of_the_file`);
      assert.match(expected, /\+ping/);
      assert.equal(rights(told, `imcluster_${role}`), expected);
      await admin.call("ACL", "DELUSER", `imcluster_${role}_of_the_file`);
    }
  });

  it("refuse the password of another one, and none at all", async () => {
    for (const [store, name] of [
      ["postgres", "IM_POSTGRES_URL"],
      ["redis", "IM_REDIS_URL"],
    ] as const) {
      const [logic, extlogic] = ROLES.map((role) => new URL(urlIn(role, name)));
      assert.ok(logic && extlogic);
      const one = new URL(stores.oneUser[store]);
      for (const [user, password] of [
        ["imcluster_logic", extlogic.password],
        ["imcluster_extlogic", logic.password],
        ["imcluster_extlogic", one.password],
        [one.username, logic.password],
        [one.username, ""],
      ] as const) {
        const url = new URL(one);
        [url.username, url.password] = [user, password];
        if (store === "postgres") {
          const refused: unknown = await runSql(url.href, "SELECT 1").catch((error: unknown) => error);
          const { code, message } = refused as { code?: string; message?: string };
          assert.ok(code === WRONG_PASSWORD || /password must be a string|empty password/.test(message ?? ""), message);
          continue;
        }
        const words = ["AUTH", ...(user === "" ? ["default"] : [user]), password === "" ? '""' : password];
        assert.match(await stores.redis.command(words.join(" ")), /^-WRONGPASS/, user);
      }
    }
    assert.match(await stores.redis.command("GET r:{a}"), /^-NOAUTH/);
  });

  it("may not do what the others do", async () => {
    const [logic, extlogic] = await Promise.all(ROLES.map((role) => openRedis(urlIn(role, "IM_REDIS_URL"))));
    assert.ok(logic && extlogic);
    const refused = /NOPERM/;
    for (const words of ["XREADGROUP GROUP a b STREAMS {w:00}:intents >", "XACK {w:00}:intents a 1-1", "MGET r:{a}"])
      await assert.rejects(logic.call(...(words.split(" ") as [string, ...string[]])), refused, words);
    for (const words of [
      "HGETALL r:{a}",
      "GET lease:{a}",
      "ZADD {w:00}:wheel 1 a",
      "SET {w:00}:trace:a b",
      "EVALSHA a 0",
    ])
      await assert.rejects(extlogic.call(...(words.split(" ") as [string, ...string[]])), refused, words);
    for (const redis of [logic, extlogic])
      for (const words of ["FLUSHALL", "CONFIG GET requirepass", "ACL LIST", "SET other 1", "SHUTDOWN NOSAVE"])
        await assert.rejects(redis.call(...(words.split(" ") as [string, ...string[]])), refused, words);
    for (const role of ROLES) {
      const client = new pg.Client({ connectionString: urlIn(role, "IM_POSTGRES_URL") });
      await client.connect();
      try {
        for (const statement of ["CREATE TABLE mine (a int)", "DROP TABLE message", "SELECT * FROM schema_migration"])
          await assert.rejects(client.query(statement), { code: DENIED }, statement);
        assert.ok((await client.query("SELECT 1 FROM message LIMIT 1")).rowCount);
      } finally {
        await client.end();
      }
    }
  });
});
