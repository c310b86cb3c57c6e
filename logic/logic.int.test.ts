// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { connect as connectTls } from "node:tls";
import { systemClock } from "#lib/clock.ts";
import { loadConfig } from "#lib/config.ts";
import { ErrorCode } from "#lib/errors.ts";
import { createChannelClient } from "#lib/grpc.ts";
import { silentLogger } from "#lib/logger.ts";
import { createRedis, type Redis, whenReady } from "#lib/redis.ts";
import type { PurgeEntryReply } from "#proto/gen/messages.ts";
import { serviceDefinition } from "#proto/load.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import { type PostgresServer, startPostgres } from "../e2e/harness/postgres.ts";
import { type RedisServer, startRedis } from "../e2e/harness/redis.ts";
import { createTestAuthority, issueRoleFolders } from "../e2e/harness/tls.ts";
import { createTokenAuthority, type TokenAuthority } from "../e2e/harness/tokens.ts";
import { startWebhookSandbox, type WebhookSandbox } from "../e2e/sandbox/webhook.ts";
import { callAdmin, parseCommand } from "./admin.ts";
import { extlogicSchema, logicSchema } from "./config.ts";
import { LEASE_TTL_MS, type LogicHarness } from "./contract/kit.ts";
import { logicContract, tenantContract } from "./contract/logic.contract.ts";
import type { PushIntent } from "./deliver/offline.ts";
import { dialLogic, type TestEntry, waitUntil } from "./entry-kit.ts";
import { type Extlogic, startExtlogic } from "./extlogic.ts";
import { type Logic, startLogic } from "./logic.ts";
import { parseIntent } from "./push/intent.ts";
import { intentStream, SHARDS, shardOf } from "./push/shard.ts";
import { RedisRouter } from "./router/redis.ts";
import { migrate } from "./store/migrate.ts";
import { openPostgresStore, type PostgresStore } from "./store/postgres-store.ts";
import { internalId } from "./tenant/tenant-ids.ts";

let postgres: PostgresServer;
let redisServer: RedisServer;
let redis: Redis;
let store: PostgresStore;
let tokens: TokenAuthority;
let folder: string;
let env: Record<string, string>;
let logic: Logic;
const dialled: TestEntry[] = [];
const STREAMS = Array.from({ length: SHARDS }, (_, shard) => intentStream(shard));

before(async () => {
  [postgres, redisServer, tokens, folder] = await Promise.all([
    startPostgres(),
    startRedis(),
    createTokenAuthority(),
    mkdtemp(join(tmpdir(), "im-logic-")),
  ]);
  const url = await postgres.createDatabase("logic");
  await migrate({ url, log: silentLogger });
  tokens.writeJwks(join(folder, "jwks.json"));
  env = {
    IM_POSTGRES_URL: url,
    IM_REDIS_URL: redisServer.url,
    IM_JWKS_FILE: join(folder, "jwks.json"),
    IM_TOKEN_ISSUER: tokens.issuer,
    IM_TOKEN_AUDIENCE: tokens.audience,
    IM_GRPC_PORT: "0",
    IM_LEASE_TTL_MS: String(LEASE_TTL_MS),
    IM_ADMIN_PORT: "0",
    IM_PRESENCE_VISIBLE_TO: "peers",
  };
  redis = createRedis(redisServer.url, { name: "test", commandTimeoutMs: 10_000 });
  store = await openPostgresStore({ url, name: "test" });
  logic = await start();
});

after(async () => {
  for (const entry of dialled) entry.close();
  await logic.lifecycle.stop("test");
  await store.close();
  redis.disconnect();
  await redisServer.stop();
  await postgres.stop();
  await rm(folder, { recursive: true });
});

const start = (): Promise<Logic> => startLogic(loadConfig(logicSchema, env), { log: silentLogger });

function dial(podUid: string, to: Logic = logic): TestEntry {
  const entry = dialLogic(podUid, `127.0.0.1:${to.grpcPort}`);
  dialled.push(entry);
  return entry;
}

async function purge(podUid: string): Promise<PurgeEntryReply> {
  const client = createChannelClient({
    address: `127.0.0.1:${logic.grpcPort}`,
    definition: serviceDefinition("im.uplink.v1.LogicControl"),
    role: "logic",
  });
  try {
    const { incarnations, routesDeleted, routesRemaining } = await client.call<PurgeEntryReply>(
      "PurgeEntry",
      { podUid, force: true },
      5000,
    );
    return { incarnations, routesDeleted, routesRemaining };
  } finally {
    client.close();
  }
}

async function intents(): Promise<PushIntent[]> {
  const streams = await Promise.all(STREAMS.map((stream) => redis.xrange(stream, "-", "+")));
  return streams.flat().flatMap(([key, fields]) => {
    const intent = parseIntent(key, fields);
    if (!intent) return [];
    const { userId, inboxSeq, cause } = intent;
    return [{ userId, inboxSeq, cause }];
  });
}

const harnessOf = (tenant: string): LogicHarness => ({
  entry: dial,
  purge,
  token: (userId, facts) => tokens.mint(userId, tenant === "" ? facts : { ...facts, tenant }),
  intents,
  elapse: () => undefined,
  createConversation: (id, memberIds) =>
    store.createConversation(
      id,
      memberIds.map((userId) => internalId(tenant, userId)),
    ),
  flushRouter: async () => void (await redis.flushall()),
  tenant,
  store,
  router: new RedisRouter(redis, { clock: systemClock, liveCacheMs: 0 }),
  core: logic.core,
});

logicContract("PostgreSQL and Redis", () => harnessOf(""));

const unique = (name: string): string => `${name}-${randomUUID().slice(0, 8)}`;
const text = (words: string): Uint8Array => new TextEncoder().encode(words);

describe("logic process", () => {
  it("works without Redis: logins and sends succeed, and routes follow when it is back", async () => {
    const entry = dial(unique("pod"));
    await entry.attach();
    await redisServer.stop();
    const [alice, bob] = [unique("alice"), unique("bob")];
    const login = await entry.login(1, await tokens.mint(alice));
    assert.equal(login.kind, "ok");
    const other = await entry.login(2, await tokens.mint(bob));
    assert.ok(other.kind === "ok");
    const answer = await entry.message(1, { to: bob, clientMessageId: "m", content: text("x") });
    assert.equal(answer.kind, "ok", "acknowledged while Redis is down");
    entry.send({ kind: RecordKind.LEASE, rid: 9 });
    assert.equal((await entry.next(RecordKind.LEASED)).rid, 9, "nobody is fenced by a lost Redis");
    await redisServer.start();
    assert.ok(await whenReady(redis, 10_000), "the test's own client is back");
    await entry.next(RecordKind.REANNOUNCE);
    entry.send({ kind: RecordKind.BIND, conn: 2, body: other.reply.tag });
    entry.send({ kind: RecordKind.LEASE, rid: 10 });
    await entry.next(RecordKind.LEASED, { rid: 10 });
    const hasRoute = async (user: string) => (await redis.hgetall(`r:{${user}}`)).mobile !== undefined;
    await waitUntil("the announced route is back", () => hasRoute(bob));
    await waitUntil("the route missed at login follows by itself", () => hasRoute(alice));
    assert.equal((await entry.message(1, { to: bob, clientMessageId: "n", content: text("y") })).kind, "ok");
    // The first message may be delivered late, if its lookup was still waiting when Redis came back.
    const first = await entry.delivered(2);
    const last = first.inboxSeq === 1 ? await entry.delivered(2) : first;
    assert.equal(last.inboxSeq, 2);
  });

  it("starts while Redis is down, and is ready", async () => {
    const closed = await startRedis();
    await closed.stop();
    const config = loadConfig(logicSchema, { ...env, IM_REDIS_URL: closed.url });
    const lonely = await startLogic(config, { log: silentLogger });
    try {
      const ready = await fetch(`http://127.0.0.1:${lonely.adminPort}/readyz`);
      assert.equal(ready.status, 200);
      const entry = dial(unique("pod"), lonely);
      assert.ok(await entry.attach());
      assert.equal((await entry.login(1, await tokens.mint(unique("u")))).kind, "ok");
    } finally {
      await lonely.lifecycle.stop("test");
    }
  });

  it("hands its sessions to another logic: LEAVING, answers, then the end of the stream", async () => {
    const first = await start();
    const podUid = unique("pod");
    const [a, b] = [dial(podUid, first), dial(podUid)];
    await a.attach();
    await b.attach(a.incarnation);
    assert.equal(a.incarnation, b.incarnation);
    const login = await a.login(1, await tokens.mint(unique("alice")));
    assert.ok(login.kind === "ok");
    const stopped = first.lifecycle.stop("test");
    await a.next(RecordKind.LEAVING);
    const answer = await a.message(1, { to: unique("bob"), clientMessageId: "m", content: text("x") });
    assert.equal(answer.kind, "ok", "what comes before the end is answered");
    await stopped;
    await waitUntil("the stream ended", () => a.isClosed);
    b.send({ kind: RecordKind.BIND, conn: 1, body: login.reply.tag });
    const again = await b.message(1, { to: unique("bob"), clientMessageId: "m2", content: text("x") });
    assert.equal(again.kind, "ok");
  });

  it("delivers through the streams of two logics", async () => {
    const second = await start();
    try {
      const podUid = unique("pod");
      const [one, two] = [dial(podUid), dial(podUid, second)];
      await one.attach();
      await two.attach(one.incarnation);
      const [alice, bob] = [unique("alice"), unique("bob")];
      await one.login(1, await tokens.mint(alice));
      await two.login(2, await tokens.mint(bob));
      await one.message(1, { to: bob, clientMessageId: "m", content: text("x") });
      assert.equal((await one.delivered(2)).inboxSeq, 1, "on the stream of the logic that committed it");
      await two.login(3, await tokens.mint(alice));
      await two.next(RecordKind.KICK, { conn: 1 });
    } finally {
      await second.lifecycle.stop("test");
    }
  });

  it("a logic that just started delivers when the entry has attached, and writes no intent", async () => {
    const [home, away] = [dial(unique("pod")), unique("pod")];
    await home.attach();
    const [alice, bob] = [unique("alice"), unique("bob")];
    await home.login(2, await tokens.mint(bob));
    const fresh = await start();
    try {
      const sender = dial(away, fresh);
      await sender.attach();
      await sender.login(1, await tokens.mint(alice));
      assert.equal((await sender.message(1, { to: bob, clientMessageId: "m", content: text("x") })).kind, "ok");
      await waitUntil("the delivery waits", () => fresh.core.parked() === 1);
      const again = dial(home.podUid, fresh);
      await again.attach(home.incarnation);
      assert.equal((await again.delivered(2)).inboxSeq, 1);
      await waitUntil("nothing is under way", () => fresh.core.isIdle());
      assert.deepEqual(
        (await intents()).filter(({ userId }) => userId === bob),
        [],
      );
    } finally {
      await fresh.lifecycle.stop("test");
    }
  });

  it("presents a renewed internal certificate without a restart", async () => {
    const authority = await createTestAuthority(join(folder, "ca"));
    const roles = await issueRoleFolders(authority, join(folder, "roles"), ["logic", "entry"] as const);
    const config = loadConfig(logicSchema, { ...env, IM_INTERNAL_TLS_DIR: roles.logic });
    const secure = await startLogic(config, { log: silentLogger });
    const serial = (): Promise<string> =>
      new Promise((resolve, reject) => {
        const servername = "logic.imcluster.internal";
        const socket = connectTls({ port: secure.grpcPort, host: "127.0.0.1", ca: authority.ca, servername });
        socket.on("error", reject);
        socket.on("secureConnect", () => {
          resolve(socket.getPeerCertificate().serialNumber);
          socket.destroy();
        });
      });
    try {
      const first = await serial();
      await authority.issue(roles.logic, { dnsNames: ["logic.imcluster.internal"] });
      // The files are read every 5 s, perhaps for the first time while only one of them is new.
      await waitUntil("the new certificate", async () => (await serial()) !== first, 60_000);
    } finally {
      await secure.lifecycle.stop("test");
    }
  });

  it("takes the commands of administrators from those roles only, by the command line too", async () => {
    const authority = await createTestAuthority(join(folder, "admin-authority"));
    const names = ["logic", "entry", "admin", "operator"] as const;
    const roles = await issueRoleFolders(authority, join(folder, "admin-roles"), names);
    const config = loadConfig(logicSchema, { ...env, IM_INTERNAL_TLS_DIR: roles.logic });
    const secure = await startLogic(config, { log: silentLogger });
    const user = unique("user");
    const ask = (role: (typeof names)[number]): Promise<object> =>
      callAdmin(parseCommand(["presence", user]), {
        IM_ADMIN_TARGET: `127.0.0.1:${secure.grpcPort}`,
        IM_INTERNAL_TLS_DIR: roles[role],
      });
    try {
      for (const role of ["admin", "operator", "logic"] as const)
        assert.deepEqual(await ask(role), { users: [{ userId: user, online: false, devices: [] }] }, role);
      await assert.rejects(ask("entry"), { code: ErrorCode.PERMISSION_DENIED });
    } finally {
      await secure.lifecycle.stop("test");
    }
  });

  it("serves its metrics", async () => {
    const response = await fetch(`http://127.0.0.1:${logic.adminPort}/metrics`);
    const page = await response.text();
    for (const name of ["im_send_total", "im_logic_entries", "im_router_lease_renew_total", "im_build_info"])
      assert.match(page, new RegExp(`^${name}\\b`, "m"));
    const debug = await (await fetch(`http://127.0.0.1:${logic.adminPort}/debug`)).text();
    assert.match(debug, /incarnation/);
  });
});

describe("extlogic process", () => {
  let sandbox: WebhookSandbox;
  let extlogic: Extlogic;
  let entry: TestEntry;
  /** Pushes that the provider refuses yet, per user: the reconciler may push for those of other tests meanwhile. */
  const failing = new Map<string, number>();

  before(async () => {
    sandbox = await startWebhookSandbox({
      secret: "s3cret",
      answer: (push) => {
        if (push.sender.startsWith("poison")) return { status: 410 };
        const left = failing.get(push.userId) ?? 0;
        failing.set(push.userId, left - 1);
        return left > 0 ? { status: 503 } : { status: 204 };
      },
    });
    await redis.del(...STREAMS, "q:push:dead");
    const config = loadConfig(extlogicSchema, {
      ...env,
      IM_PUSH_WEBHOOK_URL: sandbox.url,
      IM_PUSH_WEBHOOK_SECRET: "s3cret",
    });
    extlogic = await startExtlogic(config, { log: silentLogger, claimIdleMs: 500, random: () => 0 });
    entry = dial(unique("pod"));
    await entry.attach();
  });

  after(async () => {
    await extlogic.lifecycle.stop("test");
    await sandbox.close();
  });

  async function sendTo(user: string, sender = unique("alice")): Promise<void> {
    await entry.login(100, await tokens.mint(sender));
    const answer = await entry.message(100, { to: user, clientMessageId: unique("m"), content: text("secret words") });
    assert.equal(answer.kind, "ok");
  }

  const told = (user: string) => sandbox.pushes.filter(({ userId }) => userId === user);
  const queueIsEmpty = async (): Promise<boolean> =>
    (await Promise.all(STREAMS.map((stream) => redis.xlen(stream)))).every((length) => length === 0);
  const streamOf = (user: string): string => intentStream(shardOf(user));

  it("tells the webhook about a message for somebody who is away, without its content", async () => {
    const bob = unique("bob");
    await sendTo(bob);
    await waitUntil("the push arrives", () => told(bob).length === 1, 60_000);
    const [push] = told(bob);
    assert.deepEqual(Object.keys(push ?? {}).sort(), [
      "conversationId",
      "inboxSeq",
      "messageId",
      "sender",
      "sentAtMs",
      "type",
      "userId",
    ]);
    assert.equal(push?.inboxSeq, 1);
    assert.equal(sandbox.invalid, 0);
    await waitUntil("the intent is answered", queueIsEmpty);
  });

  it("tries again while the provider fails, also beyond the attempts of one delivery", async () => {
    const bob = unique("bob");
    failing.set(bob, 4);
    await sendTo(bob);
    // The pauses are at most 1 + 2 + 4 + 8 s.
    await waitUntil("the push is accepted", () => told(bob).length === 5, 60_000);
    await waitUntil("the queue is empty", queueIsEmpty);
  });

  it("does not push what was acknowledged meanwhile", async () => {
    const bob = unique("bob");
    const record = await store.login({
      userId: bob,
      slot: "mobile",
      deviceId: "d",
      deviceName: "d",
      platform: "ios",
      appVersion: "1",
    });
    assert.ok(record.kind === "ok" && record.loginSeq === 1);
    await store.append([
      {
        sender: "x",
        clientMessageId: unique("m"),
        payloadHash: new Uint8Array(32),
        conversationId: unique("c"),
        peer: bob,
        messageId: "018bcfe5-6800-7000-8000-000000000001",
        contentType: "",
        content: text("x"),
        sentAtMs: Date.now(),
      },
    ]);
    await store.advanceAcks([{ userId: bob, deviceId: "d", inboxSeq: 1 }]);
    await redis.xadd(streamOf(bob), "*", "u", bob, "s", "1");
    await waitUntil("the intent is answered", queueIsEmpty);
    assert.equal(told(bob).length, 0);
  });

  it("moves intents nobody can use to the dead letters and goes on", async () => {
    const poisoned = unique("bob");
    await redis.xadd(streamOf(poisoned), "*", "nonsense", "1");
    await sendTo(poisoned, unique("poison"));
    const bob = unique("bob");
    await sendTo(bob);
    await waitUntil("the neighbour is told", () => told(bob).length === 1);
    await waitUntil("the queue is empty", queueIsEmpty);
    const letters = await redis.xrange("q:push:dead", "-", "+");
    const ours = letters.filter(([, fields]) => fields.includes("nonsense") || fields.includes(poisoned));
    assert.deepEqual(ours.map(([, fields]) => fields.at(-1)).sort(), ["malformed", "rejected"]);
  });

  it("takes over what another consumer left behind, and gives up after five deliveries", async () => {
    const bob = unique("bob");
    const id = String(await redis.xadd(streamOf(bob), "*", "u", bob, "s", "77"));
    await redis.xdel(streamOf(bob), id);
    await extlogic.lifecycle.stop("test");
    const left = String(await redis.xadd(streamOf(bob), "*", "u", bob, "s", "78"));
    await redis.xreadgroup("GROUP", "extlogic", "dead-consumer", "COUNT", 10, "STREAMS", streamOf(bob), ">");
    const exhausted = String(await redis.xadd(streamOf(bob), "*", "u", bob, "s", "79"));
    await redis.xreadgroup("GROUP", "extlogic", "dead-consumer", "COUNT", 10, "STREAMS", streamOf(bob), ">");
    await redis.xclaim(streamOf(bob), "extlogic", "dead-consumer", 0, exhausted, "RETRYCOUNT", 5);
    await redis.xclaim(streamOf(bob), "extlogic", "dead-consumer", 0, left, "RETRYCOUNT", 1);
    await redis.del("q:push:dead");
    const config = loadConfig(extlogicSchema, { ...env, IM_PUSH_WEBHOOK_URL: sandbox.url });
    extlogic = await startExtlogic(config, { log: silentLogger, claimIdleMs: 50, random: () => 0 });
    await waitUntil("the queue is empty", queueIsEmpty);
    const letters = await redis.xrange("q:push:dead", "-", "+");
    assert.deepEqual(
      letters.map(([, fields]) => fields).filter((fields) => fields.includes(bob)),
      [["u", bob, "s", "79", "r", "exhausted"]],
    );
  });

  it("makes its group again after Redis lost everything", async () => {
    await redis.flushall();
    const bob = unique("bob");
    await redis.xadd(streamOf(bob), "*", "u", bob, "s", "1");
    await waitUntil("the intent is answered", queueIsEmpty);
  });
});

// Last: what it leaves to be pushed is in nobody's way.
tenantContract("PostgreSQL and Redis", () => harnessOf("acme"));
