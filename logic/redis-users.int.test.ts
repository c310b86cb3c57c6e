// SPDX-License-Identifier: Apache-2.0
// The users of logic/redis-users.acl on a real Redis: everything that logic and extlogic do there is theirs, and nothing else is.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { createRedis, type Redis, whenReady } from "#lib/redis.ts";
import { type RedisServer, startRedis } from "../e2e/harness/redis.ts";
import { fireAll } from "./deliver/ack-wheel.contract.ts";
import { RedisAckWheel } from "./deliver/ack-wheel-redis.ts";
import type { PushIntent } from "./deliver/offline.ts";
import { changeLogContract } from "./presence/change-log.contract.ts";
import { RedisChangeLog } from "./presence/change-log-redis.ts";
import { listLetters, writeDeadLetters } from "./push/dead-letters.ts";
import { DEAD_LETTER_STREAM, RedisIntents } from "./push/intent.ts";
import { IntentStreams } from "./push/intent-streams.ts";
import { shardOf, wheelKey } from "./push/shard.ts";
import { TraceNotes, withTraceNotes } from "./push/trace-notes.ts";
import { RedisRouter } from "./router/redis.ts";
import { routerContract } from "./router/router.contract.ts";

const USERS = readFileSync(new URL("redis-users.acl", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line) => line.split(" "));
const PASSWORD = "secret-of-the-test";
/** Of a command, and of one in a script; the words differ between versions. */
const DENIED = /NOPERM|ACL failure in script|The user executing the script can't/;

let server: RedisServer;
let admin: Redis;
let logic: Redis;
let extlogic: Redis;

async function open(user?: string): Promise<Redis> {
  const url = user === undefined ? server.url : server.url.replace("//", `//${user}:${PASSWORD}@`);
  const redis = createRedis(url, { name: user ?? "admin", commandTimeoutMs: 20_000 });
  assert.equal(await whenReady(redis, 20_000), true);
  return redis;
}

/** What Redis refused since the last time. */
async function denied(): Promise<string[]> {
  const entries = (await admin.call("ACL", "LOG")) as unknown[];
  await admin.call("ACL", "LOG", "RESET");
  return entries.map((entry) => JSON.stringify(entry));
}

before(async () => {
  server = await startRedis();
  admin = await open();
  for (const [, name = "", ...rules] of USERS)
    await admin.call("ACL", "SETUSER", name, ...rules.map((rule) => rule.replace("CHANGE-ME", PASSWORD)));
  [logic, extlogic] = [await open("imcluster_logic"), await open("imcluster_extlogic")];
});

after(async () => {
  for (const redis of [admin, logic, extlogic]) redis.disconnect();
  await server.stop();
});

routerContract("redis, as the user of logic", async () => {
  await admin.flushall();
  const lapseLeases = async (): Promise<void> => {
    const leases = await admin.keys("lease:*");
    if (leases.length > 0) await admin.del(...leases);
  };
  const router = new RedisRouter(logic, { clock: new FakeClock(), liveCacheMs: 0, leaseTtlMs: 600_000 });
  return { router, lapseLeases, flush: async () => void (await admin.flushall()) };
});

changeLogContract("redis, as the user of logic", async () => {
  await admin.flushall();
  const flush = async (): Promise<void> => {
    await admin.flushall();
    await new Promise((resolve) => setTimeout(resolve, 5));
  };
  return { log: new RedisChangeLog(logic), flush };
});

describe("users of Redis", () => {
  it("may wait for acknowledgements, queue pushes, and keep dead letters, as logic", async () => {
    await admin.flushall();
    // Scripts that the server does not know are loaded by whoever calls them first.
    await admin.call("SCRIPT", "FLUSH");
    const wheel = new RedisAckWheel(logic);
    const slot = { userId: "bob", slot: "mobile" };
    await wheel.update([], [{ ...slot, fromSeq: 1, inboxSeq: 2, dueInMs: 0 }]);
    await wheel.update([{ ...slot, inboxSeq: 1 }], []);
    assert.deepEqual(await fireAll(wheel), ["bob/mobile 2-2"]);
    const onFault = (op: string, error: unknown): void => assert.fail(`${op}: ${String(error)}`);
    const context = { traceId: "a".repeat(32), spanId: "b".repeat(16) };
    new TraceNotes({ redis: logic, defer: (fn) => fn(), onFault }).add("eve", 1, context);
    assert.equal(await new RedisIntents(logic).append([{ userId: "eve", inboxSeq: 1, cause: "offline" }]), 1);
    await writeDeadLetters(logic, [["u", "bob", "s", 1]], "test");
    assert.equal((await listLetters(logic, 10)).letters, 1);
    assert.equal(await logic.call("XDEL", DEAD_LETTER_STREAM, "1-1"), 0);
  });

  it("may take up pushes and keep dead letters, as extlogic", async () => {
    const shards = ["bob", "eve"].map(shardOf);
    const silent: PushIntent = { userId: "eve", inboxSeq: 1, cause: "timeout" };
    assert.equal((await withTraceNotes(extlogic, [silent]))[0]?.trace?.spanId, "b".repeat(16));
    const streams = new IntentStreams(extlogic, shards, "test");
    assert.equal((await streams.read(10)).length, 2);
    const claimed = await streams.claim(0, 10);
    assert.equal(claimed.length, 2);
    await streams.finish(claimed);
    assert.deepEqual(await streams.backlog(Date.now()), { length: 0, oldestMs: 0 });
    await writeDeadLetters(extlogic, [["u", "bob", "s", 2]], "test");
    assert.equal((await listLetters(extlogic, 10)).letters, 2);
    assert.equal(await extlogic.call("XDEL", DEAD_LETTER_STREAM, "1-1"), 0);
  });

  it("were refused nothing in all that", async () => {
    assert.deepEqual(await denied(), []);
  });

  const everybody: readonly string[][] = [
    ...["FLUSHALL", "FLUSHDB", "SHUTDOWN NOSAVE", "SAVE", "BGSAVE", "LOLWUT", "MONITOR", "SYNC", "PSYNC ? -1"],
    ...["CONFIG GET *", "CONFIG SET dir /tmp", "CONFIG REWRITE", "MEMORY STATS", "MEMORY PURGE", "ACL LIST"],
    ...["ACL SETUSER me on nopass ~* +@all", "ACL WHOAMI", "CLIENT LIST", "CLIENT KILL TYPE normal", "CLIENT PAUSE 1"],
    ...["KEYS *", "SCAN 0", "RANDOMKEY", "DBSIZE", "SLAVEOF NO ONE", "REPLICAOF 127.0.0.1 1", "CLUSTER RESET"],
    ...["CLUSTER FORGET a", "EVAL return(1) 0", "SCRIPT FLUSH", "SCRIPT KILL", "FUNCTION LIST", "FUNCTION FLUSH"],
    ...["PUBLISH a b", "SUBSCRIBE a", "MIGRATE h 1 k 0 1", "RESTORE r:{a} 0 x", "DUMP r:{a}", "RENAME r:{a} r:{b}"],
    ...["COPY r:{a} r:{b}", "SWAPDB 0 1", "OBJECT ENCODING r:{a}", "SLOWLOG GET", "LATENCY RESET", "FAILOVER"],
  ].map((line) => line.split(" "));
  const byUser: Readonly<Record<"logic" | "extlogic", readonly string[]>> = {
    logic: [
      "GET other",
      "SET other 1",
      "DEL other",
      "HGETALL r:a",
      "XRANGE q:other - +",
      "SADD e:a 1",
      "GET config:r:{a}",
    ],
    extlogic: [
      "HGETALL r:{a}",
      "GET lease:{a}",
      "SET tomb:{a} 1",
      `XLEN ${wheelKey(0)}`,
      "EVALSHA 0 0",
      "SCRIPT LOAD a",
    ],
  };

  it("is tried with at least 40 commands", () => assert.ok(everybody.length >= 40, String(everybody.length)));

  for (const name of ["logic", "extlogic"] as const)
    it(`may do nothing else, as ${name}`, async () => {
      const redis = name === "logic" ? logic : extlogic;
      const others = byUser[name].map((line) => line.split(" "));
      for (const [word = "", ...rest] of [...everybody, ...others])
        await assert.rejects(redis.call(word, ...rest), DENIED, [word, ...rest].join(" "));
      assert.ok((await denied()).length > 0);
    });

  it("may not do by a script of its own what it may not do itself", async () => {
    const run = async (lua: string, ...keys: string[]): Promise<unknown> => {
      const sha = String(await logic.call("SCRIPT", "LOAD", lua));
      return await logic.call("EVALSHA", sha, keys.length, ...keys);
    };
    await assert.rejects(run("return redis.call('FLUSHALL')"), DENIED);
    await assert.rejects(run("return redis.call('KEYS', '*')"), DENIED);
    await assert.rejects(run("return redis.call('GET', 'other')"), DENIED);
    await assert.rejects(run("return redis.call('GET', KEYS[1])", "other"), DENIED);
    assert.equal(await run("return redis.call('EXISTS', KEYS[1])", DEAD_LETTER_STREAM), 1);
  });
});
