// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { connectRedis, type RedisClient, runOnMasters, whenReady } from "#lib/redis.ts";
import { waitUntil } from "../../e2e/harness/processes.ts";
import { redisCli } from "../../e2e/harness/redis.ts";
import { type RedisCluster, startRedisCluster } from "../../e2e/harness/redis-cluster.ts";
import { type RedisSentinel, startRedisSentinel } from "../../e2e/harness/redis-sentinel.ts";
import { indexKeys, leaseKey, routeKey, tombKey } from "./keys.ts";
import { RedisRouter } from "./redis.ts";
import { routerContract } from "./router.contract.ts";
import type { Route, RouterLogin } from "./router.ts";
import { deleteKeys, keysOf } from "./router-kit.ts";

async function connect(url: string, commandTimeoutMs = 10_000): Promise<RedisClient> {
  const client = connectRedis(url, { name: "test", commandTimeoutMs });
  assert.equal(await whenReady(client, 10_000), true);
  return client;
}

/** Leases outlast every test here: those that lapse are deleted. */
const fresh = (client: RedisClient): RedisRouter =>
  new RedisRouter(client, { clock: new FakeClock(), liveCacheMs: 0, leaseTtlMs: 600_000 });

const routes = (count: number, over: Partial<Route> = {}): Route[] =>
  Array.from({ length: count }, (_, at) => ({
    userId: `user-${at}`,
    slot: "mobile",
    incarnation: "a.1",
    conn: at + 1,
    loginSeq: 1,
    deviceId: "d",
    ...over,
  }));

function contractOn(name: string, client: () => RedisClient, flush: () => Promise<void>): void {
  routerContract(name, async () => {
    await flush();
    return {
      router: fresh(client()),
      lapseLeases: async () => deleteKeys(client(), await keysOf(client(), "lease:*")),
      flush,
    };
  });
}

/** Repeats until every outcome is known; returns the last outcomes. */
async function loginAll(router: RedisRouter, all: readonly Route[]): Promise<RouterLogin[]> {
  let outcomes: RouterLogin[] = [];
  const isDone = async (): Promise<boolean> => {
    try {
      outcomes = await router.login(all);
      return outcomes.every(({ kind }) => kind !== "unknown");
    } catch {
      return false;
    }
  };
  await waitUntil("all logins are answered", isDone, 60_000);
  return outcomes;
}

describe("router behind sentinels", () => {
  let setup: RedisSentinel;
  let client: RedisClient;
  before(async () => {
    setup = await startRedisSentinel();
    client = await connect(setup.url);
  });
  after(async () => {
    client.disconnect();
    await setup.stop();
  });
  contractOn(
    "sentinel",
    () => client,
    () => setup.flush(),
  );

  it("has a tombstone on a replica before the fence is answered", async () => {
    await fresh(client).fence("w.1");
    const master = await setup.master();
    const copies = await Promise.all(
      setup.nodes.filter((node) => node !== master).map(({ port }) => redisCli(port, "EXISTS", tombKey("w.1"))),
    );
    assert.ok(copies.includes("1"), String(copies));
  });

  it("takes a failover for a loss, so that the entries announce again, and keeps the tombstone", async () => {
    const router = fresh(client);
    await router.generation();
    const before = await router.generation();
    await router.fence("dead.1");
    await setup.failover();
    const isChanged = async (): Promise<boolean> => {
      try {
        return (await router.generation()).id !== before.id;
      } catch {
        return false;
      }
    };
    await waitUntil("the generation changed", isChanged, 60_000);
    assert.equal(await router.renewLease("dead.1"), "fenced");
  });
});

describe("router on a Redis Cluster", () => {
  let cluster: RedisCluster;
  let client: RedisClient;
  before(async () => {
    cluster = await startRedisCluster();
    client = await connect(cluster.url);
  });
  after(async () => {
    client.disconnect();
    await cluster.stop();
  });
  contractOn(
    "cluster",
    () => client,
    () => cluster.flush(),
  );

  it("spreads users, and keeps what a script touches together", async () => {
    await cluster.flush();
    await fresh(client).login(routes(200));
    const sizes = await Promise.all((await cluster.masters()).map(({ port }) => redisCli(port, "DBSIZE")));
    assert.ok(
      sizes.every((size) => Number(size) > 20),
      String(sizes),
    );
  });

  it("notices that one master lost its memory", async () => {
    const router = fresh(client);
    await router.generation();
    const before = await router.generation();
    assert.equal(before.isNew, false);
    for (const master of await cluster.masters()) {
      await master.flush();
      assert.equal((await router.generation()).isNew, true);
      assert.equal((await router.generation()).isNew, false);
    }
  });

  it("does half of nothing while slots move: logins, logouts and purges race a reshard", async () => {
    await cluster.flush();
    const router = fresh(client);
    const all = routes(600);
    await router.renewLease("a.1");
    await router.renewLease("b.1");
    const [first, second] = await cluster.masters();
    let isMoving = true;
    const reshard = cluster.reshard(900, first, second).finally(() => {
      isMoving = false;
    });
    let rounds = 0;
    for (let seq = 1; isMoving || rounds === 0; seq++, rounds++) {
      const now = all.map((one) => ({
        ...one,
        incarnation: seq % 2 === 0 ? "b.1" : "a.1",
        conn: one.conn + seq * 1000,
        loginSeq: seq,
      }));
      const outcomes = await loginAll(router, now);
      assert.deepEqual(new Set(outcomes.map(({ kind }) => kind)), new Set(["ok"]));
      const found = await router.lookup(all.map(({ userId }) => userId));
      assert.deepEqual(
        now.map((one) => found.get(one.userId)?.[0]),
        now,
      );
    }
    await reshard;
    for (const incarnation of ["a.1", "b.1"]) await router.fence(incarnation);
    const purged = [await router.purge("a.1"), await router.purge("b.1")];
    assert.equal(purged[0]?.deleted ?? 0, 600 - (purged[1]?.deleted ?? 0));
    assert.deepEqual(
      purged.map(({ remaining }) => remaining),
      [0, 0],
    );
    for (const { userId } of all) assert.deepEqual(await keysOf(client, routeKey(userId)), []);
    assert.deepEqual(await keysOf(client, "e:*"), []);
  });

  it("answers for the healthy part while one master is dead, and for all after its replica took over", async (t) => {
    await cluster.flush();
    const hasty = await connect(cluster.url, 1000);
    t.after(() => hasty.disconnect());
    const router = fresh(hasty);
    const all = routes(300);
    await router.renewLease("a.1");
    await router.login(all);
    const kinds = async (): Promise<Set<string>> => {
      const outcomes = await router.login(all.map((one) => ({ ...one, loginSeq: 2 })));
      return new Set(outcomes.map(({ kind }) => kind));
    };
    // Without the master of its tombstone no login of an incarnation can be judged.
    const asked = await runOnMasters(hasty, () => [["PING"]]);
    const home = asked.find(({ master }) => master.owns(tombKey("a.1")))?.master.address ?? "";
    const victim = (await cluster.masters()).find((node) => cluster.mayDie(node) && !home.endsWith(`:${node.port}`));
    assert.ok(home && victim);
    await cluster.failover(victim, async () => {
      const [found, stored] = await Promise.all([kinds(), router.stored(all.map(({ userId }) => userId))]);
      assert.deepEqual(found, new Set(["ok", "unknown"]));
      assert.ok(stored.size > 0 && stored.size < all.length, `${stored.size} of ${all.length} are known`);
      assert.ok([...stored.values()].every((known) => known.length === 1));
    });
    const isWhole = async (): Promise<boolean> => {
      const found = await kinds().catch(() => new Set<string>());
      return found.size === 1 && found.has("ok");
    };
    await waitUntil("everybody is known again", isWhole, 60_000);
    await router.renewLease("a.1");
    assert.equal((await router.lookup(all.map(({ userId }) => userId))).size, all.length);
    await victim.start();
  });

  it("takes no key of two tags in one script", () => {
    const tags = (keys: readonly string[]): Set<string> => new Set(keys.map((key) => /\{(.*?)\}/.exec(key)?.[1] ?? ""));
    assert.deepEqual(tags([tombKey("x.1"), leaseKey("x.1"), ...indexKeys("x.1")]), new Set(["x.1"]));
    assert.deepEqual(tags([routeKey("u")]), new Set(["u"]));
  });
});
