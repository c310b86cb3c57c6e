// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { FakeClock, systemClock } from "#lib/clock.ts";
import { createRedis, type Redis } from "#lib/redis.ts";
import { waitUntil } from "../../e2e/harness/processes.ts";
import { type RedisServer, startRedis } from "../../e2e/harness/redis.ts";
import { RedisRouter } from "./redis.ts";
import { routerContract } from "./router.contract.ts";

let server: RedisServer;
let redis: Redis;

before(async () => {
  server = await startRedis();
  redis = createRedis(server.url, { name: "test", commandTimeoutMs: 20_000 });
  await waitUntil("the client is connected", () => redis.status === "ready", 5000);
});

after(async () => {
  redis.disconnect();
  await server.stop();
});

async function lapseLeases(): Promise<void> {
  const leases = await redis.keys("lease:*");
  if (leases.length > 0) await redis.del(...leases);
}

/** Leases outlast every test here: those that lapse are deleted. */
const fresh = (): RedisRouter =>
  new RedisRouter(redis, { clock: new FakeClock(), liveCacheMs: 0, leaseTtlMs: 600_000 });

routerContract("redis", async () => {
  await redis.flushall();
  return { router: fresh(), lapseLeases, flush: async () => void (await redis.flushall()) };
});

describe("router on Redis", () => {
  it("never loses a login that races a purge of the entry it left", async () => {
    await redis.flushall();
    const router = fresh();
    await router.renewLease("b.1");
    const user = (at: number): string => `race-${at}`;
    const old = Array.from({ length: 300 }, (_, at) => ({
      userId: user(at),
      slot: "web",
      incarnation: "a.1",
      conn: at + 1,
      loginSeq: 1,
      deviceId: "d",
    }));
    await router.login(old);
    await router.fence("a.1");
    const now = old.map((one) => ({ ...one, incarnation: "b.1", loginSeq: 2 }));
    const logins = now.map((one, at) =>
      new Promise((resolve) => setTimeout(resolve, at % 7)).then(() => router.login([one])),
    );
    const purges = [router.purge("a.1"), fresh().purge("a.1")];
    await Promise.all([...logins, ...purges]);
    assert.equal((await router.purge("a.1")).remaining, 0);
    const found = await router.lookup(now.map(({ userId }) => userId));
    assert.deepEqual(
      now.map((one) => found.get(one.userId)?.[0]),
      now,
    );
  });

  it("counts a lease from when it was asked for, not from when a frozen Redis goes on", async () => {
    await redis.flushall();
    const [leaseTtlMs, frozenMs] = [60_000, 700];
    const router = new RedisRouter(redis, { clock: systemClock, liveCacheMs: 0, leaseTtlMs });
    await redis.call("CLIENT", "PAUSE", frozenMs, "ALL");
    const askedMs = performance.now();
    assert.equal(await router.renewLease("a.1"), "ok");
    const passedMs = performance.now() - askedMs;
    const leftMs = await redis.pttl("lease:{a.1}");
    assert.ok(leftMs <= leaseTtlMs - passedMs + 20 && leftMs > 0, `${leftMs} ms are left after ${passedMs} ms`);
  });

  it("renews nothing once the lease that was asked for has passed, and never shortens one", async () => {
    await redis.flushall();
    const script = readFileSync(new URL("lua/renew.lua", import.meta.url), "utf8");
    const renewUntil = async (endsAtMs: number): Promise<unknown> =>
      redis.eval(script, 2, "tomb:{a.1}", "lease:{a.1}", endsAtMs, 15_000, 60);
    const [seconds] = (await redis.time()) as unknown as [string];
    const nowMs = Number(seconds) * 1000;
    assert.equal(await renewUntil(nowMs - 1), 0);
    assert.equal(await redis.exists("lease:{a.1}"), 0);
    const capped = Number(await renewUntil(nowMs + 3_600_000));
    assert.equal(capped, 15_000, "a clock that jumped gives one lease at most");
    await renewUntil(nowMs + 5000);
    assert.ok((await redis.pttl("lease:{a.1}")) > 10_000);
    await redis.set("tomb:{a.1}", "1");
    assert.equal(await renewUntil(nowMs + 3_600_000), -1);
    assert.equal(await redis.exists("lease:{a.1}"), 0);
  });

  it("leaves the slot to the highest login however two logins interleave", async () => {
    await redis.flushall();
    const router = fresh();
    await Promise.all(["a.1", "b.1"].map((one) => router.renewLease(one)));
    for (let round = 0; round < 200; round++) {
      const one = { userId: `r${round}`, slot: "web", conn: round + 1, deviceId: "d" };
      const [low, high] = [
        { ...one, incarnation: "a.1", loginSeq: 1 },
        { ...one, incarnation: "b.1", loginSeq: 2 },
      ];
      const order = round % 2 === 0 ? [low, high] : [high, low];
      const outcomes = (await Promise.all(order.map((route) => router.login([route])))).flat();
      const loser = outcomes[order.indexOf(low)];
      const winner = outcomes[order.indexOf(high)];
      assert.equal(winner?.kind, "ok");
      assert.ok(loser?.kind === "stale" || (winner.kind === "ok" && winner.replaced), "the loser is told or kicked");
      assert.deepEqual((await router.lookup([one.userId])).get(one.userId), [high]);
    }
  });

  it("fails the session alone whose key is no hash", async () => {
    await redis.flushall();
    const router = fresh();
    await router.renewLease("a.1");
    await redis.set("r:{u20}", "not a hash");
    const all = Array.from({ length: 70 }, (_, at) => {
      return { userId: `u${at}`, slot: "web", incarnation: "a.1", conn: at + 1, loginSeq: 1, deviceId: "d" };
    });
    const kinds = (await router.login(all)).map(({ kind }) => kind);
    assert.deepEqual(
      kinds,
      all.map(({ userId }) => (userId === "u20" ? "unknown" : "ok")),
    );
    assert.equal(
      (await router.lookup(all.filter(({ userId }) => userId !== "u20").map(({ userId }) => userId))).size,
      69,
    );
    assert.deepEqual(
      await router.logout(all),
      all.map(({ userId }) => userId !== "u20"),
    );
  });

  it("neither routes to nor deletes values of another version, and lets a newer login take their place", async () => {
    await redis.flushall();
    const router = fresh();
    await router.renewLease("a.1");
    const route = { userId: "u", slot: "web", incarnation: "a.1", conn: 1, loginSeq: 5, deviceId: "d" };
    await router.login([route]);
    const foreign = "a.1;1;5;2;d;new field";
    await redis.hset("r:{u}", "web", foreign);
    assert.equal((await router.lookup(["u"])).size, 0);
    assert.deepEqual(await router.logout([route]), [false]);
    await router.fence("a.1");
    await router.purge("a.1");
    assert.equal(await redis.hget("r:{u}", "web"), foreign);
    await router.renewLease("b.1");
    const older = { ...route, incarnation: "b.1", conn: 2, loginSeq: 4 };
    assert.equal((await router.login([older]))[0]?.kind, "stale");
    assert.equal(await redis.hget("r:{u}", "web"), foreign);
    assert.deepEqual(await router.login([{ ...older, loginSeq: 6 }]), [{ kind: "ok" }]);
    assert.deepEqual((await router.lookup(["u"])).get("u"), [{ ...older, loginSeq: 6 }]);
  });

  it("answers a lookup with leases at most as old as the cache", async () => {
    await redis.flushall();
    const clock = new FakeClock();
    const router = new RedisRouter(redis, { clock, liveCacheMs: 1000 });
    await router.renewLease("a.1");
    await router.login([{ userId: "u", slot: "web", incarnation: "a.1", conn: 1, loginSeq: 1, deviceId: "d" }]);
    await lapseLeases();
    assert.equal((await router.lookup(["u"])).size, 1);
    clock.advance(1000);
    assert.equal((await router.lookup(["u"])).size, 0);
  });

  it("leaves no key behind but the generation, once everybody is gone", async () => {
    await redis.flushall();
    const router = fresh();
    await router.generation();
    await router.renewLease("a.1");
    await router.login([{ userId: "u", slot: "web", incarnation: "a.1", conn: 1, loginSeq: 1, deviceId: "d" }]);
    assert.ok((await redis.ttl("e:{a.1}:01")) === -1, "index gets its time to live with the next renewal");
    await router.renewLease("a.1");
    assert.ok((await redis.ttl("e:{a.1}:01")) > 3600);
    await router.logout([{ userId: "u", incarnation: "a.1", conn: 1 }]);
    await lapseLeases();
    assert.deepEqual(await redis.keys("*"), ["router:generation"]);
  });

  it("fails as 'router unknown' while Redis is down and works again after it", async () => {
    const router = fresh();
    await redis.flushall();
    const before = await router.generation();
    await server.stop();
    await waitUntil("the client noticed", () => redis.status !== "ready", 5000);
    await assert.rejects(router.lookup(["u"]), { name: "ImError", retryable: true });
    await assert.rejects(router.renewLease("a.1"), { name: "ImError", retryable: true });
    await server.start();
    await waitUntil("the client is back", () => redis.status === "ready", 10_000);
    assert.equal(await router.renewLease("a.1"), "ok", "scripts are loaded again");
    assert.notEqual((await router.generation()).id, before.id);
  });
});
