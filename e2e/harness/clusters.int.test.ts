// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import pg from "pg";
import { type PostgresPair, startPostgresPair } from "./postgres-pair.ts";
import { isRunning, waitUntil } from "./processes.ts";
import { redisCli } from "./redis.ts";
import { type RedisCluster, startRedisCluster } from "./redis-cluster.ts";
import { type RedisSentinel, startRedisSentinel } from "./redis-sentinel.ts";

describe("startRedisCluster", () => {
  let cluster: RedisCluster;
  before(async () => {
    cluster = await startRedisCluster();
  });
  after(() => cluster.stop());

  it("has three masters, each with a replica, and serves every slot", async () => {
    const view = await cluster.view();
    const masters = view.filter(({ isMaster }) => isMaster);
    assert.deepEqual(
      masters.map(({ slots }) => slots).sort((a, b) => a - b),
      [5460, 5462, 5462],
    );
    for (const { id } of masters) assert.equal(view.filter(({ masterId }) => masterId === id).length, 1);
    assert.match(cluster.url, /^redis\+cluster:\/\/(127\.0\.0\.1:\d+,?){6}$/);
  });

  it("moves slots with their keys while it serves", async () => {
    const [first, , last] = await cluster.masters();
    assert.ok(first && last);
    const before = (await cluster.view()).find(({ server }) => server === last)?.slots ?? 0;
    for (let i = 0; i < 50; i++) await redisCli(first.port, "-c", "SET", `k${i}`, i);
    await cluster.reshard(500, first, last);
    assert.equal((await cluster.view()).find(({ server }) => server === last)?.slots, before + 500);
    for (let i = 0; i < 50; i++) assert.equal(await redisCli(first.port, "-c", "GET", `k${i}`), String(i));
  });

  it("replaces a killed master and takes it back as a replica", async () => {
    let isPartial = false;
    const dead = await cluster.failover(undefined, async () => {
      const alive = cluster.nodes.find(({ pid }) => pid !== 0);
      isPartial = (await redisCli(alive?.port ?? 0, "CLUSTER", "INFO")).includes("cluster_state:ok");
    });
    assert.ok(isPartial, "the others do not know yet");
    const areThree = async (): Promise<boolean> => {
      const masters = await cluster.masters();
      return masters.length === 3 && !masters.includes(dead);
    };
    await waitUntil("three masters are well", areThree, 20_000);
    await dead.start();
    const isReplica = async (): Promise<boolean> =>
      (await cluster.view()).some(({ server, isMaster, isGood }) => server === dead && !isMaster && isGood);
    await waitUntil("the old master is a replica", isReplica, 20_000);
    await cluster.flush();
    for (const { port } of await cluster.masters()) assert.equal(await redisCli(port, "DBSIZE"), "0");
  });

  it("leaves no process", async () => {
    const pids = cluster.nodes.map(({ pid }) => pid);
    await cluster.stop();
    assert.ok(!pids.some(isRunning));
  });
});

describe("startRedisSentinel", () => {
  let setup: RedisSentinel;
  before(async () => {
    setup = await startRedisSentinel();
  });
  after(() => setup.stop());

  it("replicates, replaces a killed master, and takes it back", async () => {
    const old = await setup.master();
    assert.equal(await redisCli(old.port, "SET", "kept", "1"), "OK");
    assert.equal(await redisCli(old.port, "WAIT", 2, 30_000), "2");
    assert.equal(await setup.failover(), old);
    const master = await setup.master();
    assert.notEqual(master, old);
    assert.equal(await redisCli(master.port, "GET", "kept"), "1");
    await old.start();
    await setup.waitReplicas();
    assert.equal((await redisCli(old.port, "INFO", "replication")).includes("role:slave"), true);
    await setup.flush();
    assert.equal(await redisCli(master.port, "DBSIZE"), "0");
  });
});

describe("startPostgresPair", () => {
  let pair: PostgresPair;
  before(async () => {
    pair = await startPostgresPair();
  });
  after(() => pair.stop());

  async function query(text: string, url = pair.url, timeoutMs = 30_000): Promise<unknown[][]> {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 30_000, query_timeout: timeoutMs });
    client.on("error", () => undefined);
    await client.connect();
    try {
      return (await client.query({ text, rowMode: "array" })).rows;
    } finally {
      await client.end();
    }
  }

  it("keeps every answered commit over kill -9 and promotion, twice", async () => {
    await query("CREATE TABLE kept (n int)");
    for (let round = 0; round < 2; round++) {
      const { primary, standby } = pair;
      await query(`INSERT INTO kept VALUES (${round})`);
      assert.deepEqual(await query("SELECT pg_is_in_recovery()", standby.url), [[true]]);
      await assert.rejects(query("INSERT INTO kept VALUES (9)", standby.url), /read-only transaction/);
      await pair.failover();
      assert.equal(pair.primary, standby);
      assert.deepEqual(await query("SELECT count(*)::int FROM kept"), [[round + 1]], "through the proxy");
      assert.throws(() => pair.standby, /rejoin/);
      await pair.rejoin();
      assert.equal(existsSync(primary.dir), false, "the old primary is gone for good");
    }
  });

  it("answers no commit that the standby does not have", async () => {
    await pair.standby.stopServer();
    await assert.rejects(query("INSERT INTO kept VALUES (7)", pair.url, 1500), /timeout/i);
    await pair.standby.start();
    await query("INSERT INTO kept VALUES (8)");
  });
});
