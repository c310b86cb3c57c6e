// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { FakeClock } from "#lib/clock.ts";
import { createRedis, type Redis } from "#lib/redis.ts";
import { waitUntil } from "../../e2e/harness/processes.ts";
import { type RedisServer, startRedis } from "../../e2e/harness/redis.ts";
import { MemoryRouter } from "./memory.ts";
import { RedisRouter } from "./redis.ts";
import { routerContract } from "./router.contract.ts";
import type { Router } from "./router.ts";

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

const fresh = (): RedisRouter => new RedisRouter(redis, { clock: new FakeClock(), liveCacheMs: 0 });

routerContract("redis", async () => {
  await redis.flushall();
  return { router: fresh(), lapseLeases, flush: async () => void (await redis.flushall()) };
});

const userId = fc.constantFrom("u1", "u2");
const slot = fc.constantFrom("mobile", "web");
const incarnation = fc.constantFrom("a.1", "a.2", "b.1");
const conn = fc.integer({ min: 1, max: 3 });
const route = fc.record(
  { userId, slot, incarnation, conn, loginSeq: fc.integer({ min: 1, max: 12 }), deviceId: fc.constantFrom("d", ";1;") },
  { noNullPrototype: true },
);
type Step = (router: Router) => Promise<unknown>;
const step: fc.Arbitrary<{ name: string; run: Step | "lapse" }> = fc.oneof(
  {
    weight: 5,
    arbitrary: route.map((r) => ({ name: `login ${JSON.stringify(r)}`, run: (x: Router) => x.login([r]) })),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({ userId, incarnation, conn }, { noNullPrototype: true })
      .map((s) => ({ name: `logout ${JSON.stringify(s)}`, run: (x: Router) => x.logout([s]) })),
  },
  { weight: 3, arbitrary: incarnation.map((i) => ({ name: `renew ${i}`, run: (x: Router) => x.renewLease(i) })) },
  { weight: 1, arbitrary: incarnation.map((i) => ({ name: `fence ${i}`, run: (x: Router) => x.fence(i) })) },
  {
    weight: 1,
    arbitrary: incarnation.map((i) => ({
      name: `purge ${i}`,
      run: async (x: Router) => (await x.purge(i)).remaining,
    })),
  },
  { weight: 1, arbitrary: fc.constant({ name: "leases lapse", run: "lapse" as const }) },
);

async function view(router: Router): Promise<unknown> {
  const found = await router.lookup(["u1", "u2"]);
  return ["u1", "u2"].map((user) =>
    (found.get(user) ?? []).map((one) => JSON.stringify(one, Object.keys(one).sort())).sort(),
  );
}

describe("router on Redis", () => {
  it("behaves as the model for random sequences of operations", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
        await redis.flushall();
        const clock = new FakeClock();
        const model = new MemoryRouter(clock);
        const real = fresh();
        for (const { name, run } of steps) {
          if (run === "lapse") {
            clock.advance(15_001);
            await lapseLeases();
          } else assert.deepEqual(await run(real), await run(model), name);
          assert.deepEqual(await view(real), await view(model), `after ${name}`);
        }
      }),
      { numRuns: Number(process.env.IM_PROP_RUNS ?? 1000) },
    );
  });

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
