// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { FakeClock } from "#lib/clock.ts";
import { MemoryRouter } from "../router/memory.ts";
import type { Route } from "../router/router.ts";
import { ROUTE_MAX_AGE_MS, RouteCache } from "./route-cache.ts";

function routeOf(userId: string, conn: number, incarnation = "pod.1"): Route {
  return { userId, slot: "web", incarnation, conn, loginSeq: conn, deviceId: "d" };
}

async function setUp(maxUsers?: number) {
  const clock = new FakeClock();
  const router = new MemoryRouter(clock, 1_000_000);
  for (const incarnation of ["pod.1", "pod.2"]) await router.renewLease(incarnation);
  const asked: string[][] = [];
  const lookup = router.lookup.bind(router);
  router.lookup = (userIds) => {
    asked.push([...userIds]);
    return lookup(userIds);
  };
  const faults: string[] = [];
  const onFault = (op: string): void => void faults.push(op);
  const cache = new RouteCache({ router, clock, onFault, ...(maxUsers === undefined ? {} : { maxUsers }) });
  const conns = async (userId: string): Promise<number[]> =>
    ((await cache.lookup([userId])).get(userId) ?? []).map(({ conn }) => conn);
  return { clock, router, cache, asked, conns, faults };
}

describe("route cache", () => {
  it("asks once while an answer is fresh, and again when it is not", async () => {
    const { clock, router, cache, asked, conns } = await setUp();
    await router.login([routeOf("bob", 1)]);
    assert.equal(cache.fresh("bob"), undefined);
    assert.deepEqual(await conns("bob"), [1]);
    clock.advance(ROUTE_MAX_AGE_MS / 2 - 1);
    assert.deepEqual([await conns("bob"), cache.fresh("bob")?.length, asked.length], [[1], 1, 1]);
    clock.advance(ROUTE_MAX_AGE_MS / 2 + 1);
    assert.equal(cache.fresh("bob"), undefined);
    assert.deepEqual([await conns("bob"), asked.length], [[1], 2]);
  });

  it("asks again in the background for who is in use, many at once, and for nobody else", async () => {
    const { clock, router, cache, asked, conns } = await setUp();
    await router.login(["bob", "carol", "dave"].map((userId, at) => routeOf(userId, at + 1)));
    await cache.lookup(["bob", "carol", "dave"]);
    clock.advance(ROUTE_MAX_AGE_MS - 100);
    await router.login([routeOf("carol", 9)]);
    for (const userId of ["bob", "carol", "bob"]) assert.equal(cache.fresh(userId)?.length, 1);
    clock.advance(50);
    await turn();
    assert.deepEqual(asked.slice(1), [["bob", "carol"]]);
    clock.advance(100);
    assert.deepEqual([cache.fresh("dave"), cache.fresh("bob")?.length, await conns("carol")], [undefined, 1, [9]]);
    assert.deepEqual([asked.length, clock.pending], [2, 0]);
  });

  it("asks for who is expected, and was there lately, before somebody has to wait, many at once", async () => {
    const { clock, router, cache, asked } = await setUp();
    await router.login(["bob", "carol", "dave"].map((userId, at) => routeOf(userId, at + 1)));
    cache.expect("bob");
    await cache.lookup(["bob", "carol", "dave"]);
    cache.expect("carol");
    clock.advance(ROUTE_MAX_AGE_MS);
    for (const userId of ["bob", "carol", "bob", "nobody"]) cache.expect(userId);
    assert.equal(asked.length, 1, "not before the end of the turn");
    await turn();
    await turn();
    assert.deepEqual(asked.slice(1), [["bob", "carol"]]);
    assert.deepEqual(
      [cache.fresh("bob")?.length, cache.fresh("carol")?.length, cache.fresh("dave")],
      [1, 1, undefined],
    );
  });

  it("has one question for expected users under way: who comes meanwhile is in the next; none is asked twice", async () => {
    const { clock, router, cache, asked, faults } = await setUp();
    const users = ["bob", "carol", "dave"];
    await router.login(users.map((userId, at) => routeOf(userId, at + 1)));
    await cache.lookup(users);
    clock.advance(ROUTE_MAX_AGE_MS);
    const lookup = router.lookup;
    const answers: (() => void)[] = [];
    router.lookup = async (userIds) => {
      await new Promise<void>((resolve) => void answers.push(resolve));
      return await lookup(userIds);
    };
    for (const userId of users) {
      cache.expect(userId);
      await turn();
    }
    assert.equal(answers.length, 1);
    for (let at = 0; at < 2; at++) {
      answers[at]?.();
      await turn();
    }
    assert.deepEqual(asked.slice(1), [["bob"], ["carol", "dave"]]);
    router.isDown = true;
    router.lookup = lookup;
    clock.advance(ROUTE_MAX_AGE_MS);
    cache.expect("bob");
    await turn();
    await turn();
    router.isDown = false;
    cache.expect("bob");
    await turn();
    await turn();
    assert.deepEqual([faults, asked.slice(3), cache.fresh("bob")?.length], [["refresh"], [["bob"], ["bob"]], 1]);
  });

  it("drops who is gone when it asks again, reports a failure, and releases its timer", async () => {
    const { clock, router, cache, asked, faults } = await setUp();
    await router.login([routeOf("bob", 1), routeOf("carol", 2)]);
    await cache.lookup(["bob", "carol"]);
    await router.logout([{ userId: "bob", incarnation: "pod.1", conn: 1 }]);
    clock.advance(ROUTE_MAX_AGE_MS / 2);
    cache.fresh("bob");
    clock.advance(50);
    await turn();
    assert.deepEqual([cache.fresh("bob"), asked.length], [undefined, 2]);
    router.isDown = true;
    assert.equal(cache.fresh("carol")?.length, 1);
    clock.advance(50);
    await turn();
    assert.deepEqual([faults, cache.fresh("carol")?.length], [["refresh"], 1]);
    cache.close();
    assert.equal(clock.pending, 0);
  });

  it("never remembers that nobody is there", async () => {
    const { router, cache, asked, conns } = await setUp();
    assert.deepEqual([await conns("bob"), cache.size], [[], 0]);
    await router.login([routeOf("bob", 1)]);
    assert.deepEqual([await conns("bob"), asked.length], [[1], 2]);
  });

  it("asks only for those it does not know", async () => {
    const { router, cache, asked } = await setUp();
    await router.login([routeOf("bob", 1), routeOf("carol", 2)]);
    await cache.lookup(["bob"]);
    assert.equal((await cache.lookup(["bob", "carol", "nobody"])).size, 2);
    assert.deepEqual(asked, [["bob"], ["carol", "nobody"]]);
  });

  it("forgets what is changed through it", async () => {
    const { cache, conns } = await setUp();
    await cache.changes.login([routeOf("bob", 1)]);
    assert.deepEqual(await conns("bob"), [1]);
    await cache.changes.login([routeOf("bob", 2)]);
    assert.deepEqual([cache.fresh("bob"), await conns("bob")], [undefined, [2]]);
    await cache.changes.logout([{ userId: "bob", incarnation: "pod.1", conn: 2 }]);
    assert.deepEqual([cache.fresh("bob"), await conns("bob")], [undefined, []]);
  });

  it("does not remember an answer that a change overtook", async () => {
    const { router, cache, conns } = await setUp();
    await router.login([routeOf("bob", 1)]);
    const early = cache.lookup(["bob"]);
    await cache.changes.login([routeOf("bob", 2)]);
    await early;
    assert.deepEqual([cache.fresh("bob"), await conns("bob")], [undefined, [2]]);
    assert.equal(cache.fresh("bob")?.length, 1, "later answers are remembered again");
  });

  it("forgets everybody of a dead incarnation, and nobody else", async () => {
    const { router, cache } = await setUp();
    await router.login([routeOf("bob", 1), routeOf("carol", 2, "pod.2")]);
    await cache.lookup(["bob", "carol"]);
    cache.gone("pod.1");
    assert.deepEqual([cache.fresh("bob"), cache.fresh("carol")?.length], [undefined, 1]);
  });

  it("is bounded, and rejects as the router does", async () => {
    const { router, cache, conns } = await setUp(2);
    await router.login(["a", "b", "c"].map((userId, at) => routeOf(userId, at + 1)));
    for (const userId of ["a", "b", "c"]) await conns(userId);
    assert.deepEqual([cache.size, cache.fresh("a"), cache.fresh("c")?.length], [2, undefined, 1]);
    router.isDown = true;
    await assert.rejects(cache.lookup(["a"]));
    assert.equal((await cache.lookup(["c"])).size, 1);
  });
});
