// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { waitUntil } from "../e2e/harness/processes.ts";
import { type RedisServer, redisCli, startRedis } from "../e2e/harness/redis.ts";
import { type RedisCluster, startRedisCluster } from "../e2e/harness/redis-cluster.ts";
import { type RedisSentinel, startRedisSentinel } from "../e2e/harness/redis-sentinel.ts";
import { ErrorCode, ImError } from "./errors.ts";
import {
  connectRedis,
  createRedis,
  isOrdered,
  type RedisClient,
  type RedisCommand,
  runOnMasters,
  runPipeline,
  type Script,
  whenReady,
} from "./redis.ts";
import { slotOf } from "./redis-slots.ts";

const LUA = "return redis.call('INCRBY', KEYS[1], ARGV[1])";
const script: Script = { name: "add", lua: LUA, sha: createHash("sha1").update(LUA).digest("hex"), keys: 1 };
const READY_MS = 10_000;

/** A client that stays open keeps this process alive, also after a test that failed before it closed its own. */
const opened: RedisClient[] = [];
after(() => {
  for (const client of opened) client.disconnect();
});

async function open(url: string, commandTimeoutMs = 10_000): Promise<RedisClient> {
  const client = connectRedis(url, { name: "test", commandTimeoutMs });
  opened.push(client);
  assert.equal(await whenReady(client, READY_MS), true, `${url} is ready`);
  return client;
}

const isError = (reply: unknown): boolean => reply instanceof Error;

/** What holds on every kind of Redis. */
function commonBehaviour(url: () => string): void {
  let client: RedisClient;
  before(async () => {
    client = await open(url());
  });
  after(() => client.disconnect());

  it("answers every command of a pipeline, by value or Error, in order", async () => {
    const keys = Array.from({ length: 300 }, (_, i) => `k${i}`);
    await runPipeline(
      client,
      keys.map((key, i) => ["SET", key, i] as const),
    );
    const commands: RedisCommand[] = keys.map((key) => ["GET", key]);
    commands.splice(7, 0, ["LPUSH", "k3", "x"]);
    const replies = await runPipeline(client, commands);
    assert.match(String(replies.splice(7, 1)[0]), /WRONGTYPE/);
    assert.deepEqual(
      replies,
      keys.map((_, i) => String(i)),
    );
    assert.deepEqual(await runPipeline(client, []), []);
  });

  it("loads a script where it is missing, on every server that needs it", async () => {
    for (let round = 0; round < 2; round++) {
      await runOnMasters(client, () => [["SCRIPT", "FLUSH"]]);
      const replies = await runPipeline(
        client,
        Array.from({ length: 50 }, (_, i) => ({ script, args: [`s${round}-${i}`, 2] })),
      );
      assert.deepEqual(new Set(replies), new Set([2]));
    }
  });

  it("blocks on a stream until an entry comes", async () => {
    const reader = await open(url(), 40_000);
    try {
      await runPipeline(client, [
        ["DEL", "q:block"],
        ["XGROUP", "CREATE", "q:block", "g", "0", "MKSTREAM"],
      ]);
      const words = [
        "XREADGROUP",
        "GROUP",
        "g",
        "me",
        "COUNT",
        10,
        "BLOCK",
        30_000,
        "STREAMS",
        "q:block",
        ">",
      ] as const;
      const read = runPipeline(reader, [words]);
      await runPipeline(client, [["XADD", "q:block", "*", "f", "v"]]);
      const [reply] = (await read) as [[string, [string, string[]][]][]];
      assert.deepEqual(reply[0]?.[1][0]?.[1], ["f", "v"]);
    } finally {
      reader.disconnect();
    }
  });

  it("names its masters", async () => {
    const replies = await runOnMasters(client, (master) => [
      ["INFO", "server"],
      ...(master.owns("k1") ? [["GET", "k1"] as const] : []),
    ]);
    const ids = new Set(replies.map(({ replies: [info] }) => /run_id:(\w+)/.exec(String(info))?.[1]));
    assert.equal(ids.size, replies.length);
    assert.deepEqual(
      replies.flatMap(({ replies: [, value] }) => value ?? []),
      ["1"],
    );
  });
}

describe("one Redis", () => {
  let server: RedisServer;
  before(async () => {
    server = await startRedis();
  });
  after(() => server.stop());
  commonBehaviour(() => server.url);

  it("fails at once while it is away and works after it is back", async () => {
    const client = await open(server.url);
    await server.kill9();
    await waitUntil("the client noticed", () => client.status !== "ready");
    await assert.rejects(runPipeline(client, [["GET", "k"]]), { code: ErrorCode.RETRYABLE });
    await server.start();
    assert.equal(await whenReady(client, READY_MS), true);
    assert.deepEqual(await runPipeline(client, [["PING"]]), ["PONG"]);
    client.disconnect();
  });

  it("gives up a pipeline at its deadline and starts over on a new connection", async () => {
    const client = await open(server.url, 200);
    server.sigstop();
    try {
      await assert.rejects(runPipeline(client, [["GET", "k"]]), /no answer within 200 ms/);
    } finally {
      server.sigcont();
    }
    await waitUntil("the client left the old connection", () => client.status !== "ready");
    assert.equal(await whenReady(client, READY_MS), true);
    assert.deepEqual(await runPipeline(client, [["PING"]]), ["PONG"]);
    client.disconnect();
  });

  it("leaves a silent server at once, not when that one hangs up", async () => {
    const client = await open(server.url, 200);
    server.sigstop();
    try {
      await assert.rejects(runPipeline(client, [["INCR", "late"]]), /no answer within 200 ms/);
      await waitUntil("the client left the old connection", () => client.status !== "ready", 500);
      server.sigcont();
      assert.equal(await whenReady(client, READY_MS), true);
    } finally {
      server.sigcont();
      client.disconnect();
    }
  });

  it("leaves a server that was made a replica", async () => {
    const client = await open(server.url);
    await redisCli(server.port, "REPLICAOF", "127.0.0.1", 1);
    const [refused] = await runPipeline(client, [["SET", "k", "1"]]);
    assert.match(String(refused), /READONLY/);
    await waitUntil("the client left the connection", () => client.status !== "ready");
    await redisCli(server.port, "REPLICAOF", "NO", "ONE");
    assert.equal(await whenReady(client, READY_MS), true);
    assert.deepEqual(await runPipeline(client, [["SET", "k", "1"]]), ["OK"]);
    client.disconnect();
  });

  it("logs in with the user and password of the URL", async () => {
    await server.command("ACL SETUSER app on >secret ~* +@all");
    const client = await open(server.url.replace("redis://", "redis://app:secret@"));
    assert.deepEqual(await runPipeline(client, [["PING"]]), ["PONG"]);
    client.disconnect();
  });
});

describe("Redis behind sentinels", () => {
  let setup: RedisSentinel;
  before(async () => {
    setup = await startRedisSentinel();
  });
  after(() => setup.stop());
  commonBehaviour(() => setup.url);

  it("follows a switchover of a healthy master", async () => {
    const client = await open(setup.url);
    await setup.switchover();
    const { port } = await setup.master();
    // What the old master still took meanwhile is lost with its role.
    const arrives = async (): Promise<boolean> => {
      const [reply] = await runPipeline(client, [["SET", "switched", "1"]]).catch(() => [undefined]);
      return reply === "OK" && (await redisCli(port, "GET", "switched")) === "1";
    };
    // Sentinels tell the old master of its new role only after eight seconds of looking at it.
    await waitUntil("writes reach the new master", arrives, 60_000);
    client.disconnect();
  });

  it("goes on with the new master after a failover", async () => {
    const client = await open(setup.url);
    assert.equal(isOrdered(client), true);
    const [before] = await runOnMasters(client, () => [["INFO", "server"]]);
    const dead = await setup.failover();
    const ping = async (): Promise<boolean> => {
      try {
        return (await runPipeline(client, [["SET", "after", "1"]]))[0] === "OK";
      } catch {
        return false;
      }
    };
    await waitUntil("writes are taken again", ping, 60_000);
    const [now] = await runOnMasters(client, () => [["INFO", "server"]]);
    assert.notDeepEqual(now?.replies, before?.replies);
    assert.equal(await redisCli((await setup.master()).port, "GET", "after"), "1");
    client.disconnect();
    await dead.start();
  });
});

describe("Redis Cluster", () => {
  let cluster: RedisCluster;
  before(async () => {
    cluster = await startRedisCluster();
  });
  after(() => cluster.stop());
  commonBehaviour(() => cluster.url);

  it("computes slots as the server does", async () => {
    const port = cluster.nodes[0]?.port ?? 0;
    for (const key of ["r:{alice}", "lease:{pod.1}", "e:{pod.1}:07", "{}x", "{a}{b}", "用户", "q:push", "x{{y}}z"])
      assert.equal(await redisCli(port, "CLUSTER", "KEYSLOT", key), String(slotOf(key)), key);
  });

  it("is refused where one server is needed", () => {
    assert.throws(() => createRedis(cluster.url, { name: "test" }), /single Redis/);
  });

  it("runs every command once while slots move", async () => {
    const client = await open(cluster.url, 20_000);
    assert.equal(isOrdered(client), false);
    let isMoving = true;
    const sums = new Map<string, number>();
    const load = (async () => {
      // Every key at least once, however fast the slots move.
      for (let round = 0; isMoving || sums.size < 400; round++) {
        const keys = Array.from({ length: 50 }, (_, i) => `n${(round * 7 + i) % 400}`);
        const replies = await runPipeline(
          client,
          keys.map((key) => ["INCR", key] as const),
        );
        keys.forEach((key, at) => {
          assert.equal(isError(replies[at]), false, String(replies[at]));
          sums.set(key, (sums.get(key) ?? 0) + 1);
        });
      }
    })();
    const [first, second] = await cluster.masters();
    const moved = cluster.reshard(700, first, second).finally(() => {
      isMoving = false;
    });
    await Promise.all([moved, load]);
    const keys = [...sums.keys()];
    assert.equal(keys.length, 400);
    const stored = await runPipeline(
      client,
      keys.map((key) => ["GET", key] as const),
    );
    assert.deepEqual(
      stored.map(Number),
      keys.map((key) => sums.get(key)),
    );
    client.disconnect();
  });

  it("fails only the part of a dead master, and goes on with its replica", async () => {
    const client = await open(cluster.url, 300);
    const victim = (await cluster.masters()).find((node) => cluster.mayDie(node));
    assert.ok(victim);
    const keys = Array.from({ length: 60 }, (_, i) => `f${i}`);
    const write = () =>
      runPipeline(
        client,
        keys.map((key) => ["SET", key, "1"] as const),
      );
    assert.equal((await write()).filter(isError).length, 0);
    await cluster.failover(victim, async () => {
      const partial = await write();
      assert.ok(partial.some(isError) && partial.some((reply) => reply === "OK"));
      for (const reply of partial) assert.ok(reply === "OK" || (reply instanceof ImError && reply.retryable));
    });
    await waitUntil(
      "everything is answered again",
      async () => (await write()).every((reply) => reply === "OK"),
      15_000,
    );
    client.disconnect();
    await victim.start();
    await cluster.waitServing();
  });

  it("fails at once while all of it is away, and comes back", async () => {
    const client = await open(cluster.url, 300);
    await Promise.all(cluster.nodes.map((node) => node.kill9()));
    await assert.rejects(runPipeline(client, [["GET", "a"]]), { code: ErrorCode.RETRYABLE });
    await Promise.all(cluster.nodes.map((node) => node.start()));
    await cluster.waitServing();
    const answers = async (): Promise<boolean> =>
      (await runPipeline(client, [["SET", "a", "1"]]).catch(() => [undefined]))[0] === "OK";
    await waitUntil("it answers again", answers, 20_000);
    client.disconnect();
  });
});
