// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Route, Router } from "./router.ts";

/** What a suite needs from an implementation; each test gets a fresh, empty router. */
export interface RouterHarness {
  router: Router;
  /** Lets every lease run out. */
  lapseLeases(): Promise<void>;
  /** FLUSHALL. */
  flush(): Promise<void>;
}

const route = (over: Partial<Route> = {}): Route => ({
  userId: "alice",
  slot: "mobile",
  incarnation: "pod-a.1",
  conn: 1,
  loginSeq: 1,
  deviceId: "phone; with ; semicolons",
  ...over,
});

const byConn = (routes: readonly Route[] | undefined): number[] =>
  (routes ?? []).map((found) => found.conn).sort((a, b) => a - b);

/** The behaviour of a {@link Router}, run on the memory model and on Redis. */
export function routerContract(name: string, create: () => Promise<RouterHarness>): void {
  describe(`router contract: ${name}`, () => {
    sessions(create);
    presence(create);
    batches(create);
    fencing(create);
  });
}

function sessions(create: () => Promise<RouterHarness>): void {
  it("routes to a session while its entry holds a lease, and not after", async () => {
    const { router, lapseLeases } = await create();
    await router.login([route()]);
    assert.equal((await router.lookup(["alice"])).size, 0, "no lease yet");
    assert.equal(await router.renewLease("pod-a.1"), "ok");
    assert.deepEqual((await router.lookup(["alice", "nobody"])).get("alice"), [route()]);
    await lapseLeases();
    assert.equal((await router.lookup(["alice"])).size, 0);
  });

  it("renews no lease that is no longer wanted when its turn comes", async () => {
    const { router } = await create();
    await router.login([route()]);
    assert.equal(await router.renewLease("pod-a.1", { isWanted: () => false }), "late");
    assert.equal((await router.lookup(["alice"])).size, 0);
    assert.equal(await router.renewLease("pod-a.1", { isWanted: () => true }), "ok");
    assert.equal((await router.lookup(["alice"])).size, 1);
  });

  it("counts a lease from when it was asked for, and never shortens one", async () => {
    const { router } = await create();
    await router.login([route()]);
    assert.equal(await router.renewLease("pod-a.1", { ageMs: 3_600_000 }), "late");
    assert.equal((await router.lookup(["alice"])).size, 0, "asked for so long ago that it is over");
    assert.equal(await router.renewLease("pod-a.1", { ageMs: 100 }), "ok");
    assert.equal(await router.renewLease("pod-a.1", { ageMs: 3_600_000 }), "late");
    assert.equal((await router.lookup(["alice"])).size, 1, "the one before holds");
  });

  it("gives a slot to the newest login and returns the session it replaced", async () => {
    const { router } = await create();
    await router.renewLease("pod-a.1");
    await router.renewLease("pod-b.1");
    const newer = route({ incarnation: "pod-b.1", conn: 9, loginSeq: 2, deviceId: "other" });
    assert.deepEqual(await router.login([route()]), [{ kind: "ok" }]);
    assert.deepEqual(await router.login([newer]), [{ kind: "ok", replaced: route() }]);
    assert.deepEqual(await router.login([newer]), [{ kind: "ok" }], "a repetition changes nothing");
    assert.deepEqual(await router.login([route({ conn: 3 })]), [{ kind: "stale", holder: newer }]);
    assert.deepEqual((await router.lookup(["alice"])).get("alice"), [newer]);
  });

  it("compares login sequences as numbers", async () => {
    const { router } = await create();
    await router.login([route({ loginSeq: 9 })]);
    assert.equal((await router.login([route({ conn: 2, loginSeq: 10 })]))[0]?.kind, "ok");
    assert.equal((await router.login([route({ conn: 3, loginSeq: 9 })]))[0]?.kind, "stale");
  });

  it("keeps one session per slot and all slots of a user", async () => {
    const { router } = await create();
    await router.renewLease("pod-a.1");
    await router.login([route(), route({ slot: "web", conn: 2 }), route({ userId: "bob", conn: 3 })]);
    const found = await router.lookup(["alice", "bob"]);
    assert.deepEqual(byConn(found.get("alice")), [1, 2]);
    assert.deepEqual(byConn(found.get("bob")), [3]);
  });

  it("forgets the routes of closed connections, whoever they belonged to, and no others", async () => {
    const { router } = await create();
    for (const incarnation of ["pod-a.1", "pod-b.1"]) await router.renewLease(incarnation);
    await router.login([
      route(),
      route({ userId: "bob", conn: 2 }),
      route({ userId: "carol", conn: 17 }),
      route({ userId: "dave", incarnation: "pod-b.1", conn: 1 }),
    ]);
    await router.login([route({ userId: "bob", incarnation: "pod-b.1", conn: 9, loginSeq: 2 })]);
    assert.equal(await router.forget("pod-a.1", new Set([1, 2, 99])), 1, "bob has moved on, nobody had 99");
    const found = await router.lookup(["alice", "bob", "carol", "dave"]);
    assert.deepEqual([...found.keys()].sort(), ["bob", "carol", "dave"]);
    assert.equal(await router.forget("pod-a.1", new Set([1, 2, 99])), 0, "again");
    assert.equal(await router.forget("pod-a.1", new Set()), 0);
  });

  it("logs out only the session that is meant", async () => {
    const { router } = await create();
    await router.renewLease("pod-a.1");
    await router.login([route()]);
    await router.login([route({ conn: 2, loginSeq: 2 })]);
    const old = { userId: "alice", incarnation: "pod-a.1", conn: 1 };
    assert.deepEqual(await router.logout([old]), [false]);
    assert.deepEqual(byConn((await router.lookup(["alice"])).get("alice")), [2]);
    assert.deepEqual(await router.logout([{ ...old, conn: 2 }, old]), [true, false]);
    assert.equal((await router.lookup(["alice"])).size, 0);
  });
}

function presence(create: () => Promise<RouterHarness>): void {
  it("tells what is stored and who holds a lease, each by itself", async () => {
    const { router, lapseLeases } = await create();
    const web = route({ slot: "web", incarnation: "pod-b.1", conn: 2 });
    await router.login([route(), web]);
    await router.renewLease("pod-a.1");
    const stored = await router.stored(["alice", "nobody"]);
    assert.deepEqual(
      [...(stored.get("alice") ?? [])].sort((a, b) => a.conn - b.conn),
      [route(), web],
    );
    assert.deepEqual(stored.get("nobody"), []);
    const leased = async (): Promise<unknown> => [...(await router.leased(["pod-a.1", "pod-b.1", "pod-c.1"]))];
    const others = [
      ["pod-b.1", false],
      ["pod-c.1", false],
    ];
    assert.deepEqual(await leased(), [["pod-a.1", true], ...others]);
    await lapseLeases();
    assert.deepEqual(await leased(), [["pod-a.1", false], ...others]);
    assert.equal((await router.stored(["alice"])).get("alice")?.length, 2, "routes outlast leases");
    assert.deepEqual([(await router.stored([])).size, (await router.leased([])).size], [0, 0]);
  });
}

function batches(create: () => Promise<RouterHarness>): void {
  it("answers many at once in the order they were given, each for itself", async () => {
    const { router } = await create();
    for (const incarnation of ["pod-a.1", "pod-b.1"]) await router.renewLease(incarnation);
    const old = (at: number): Route => route({ userId: `u${at}`, conn: at + 1, loginSeq: 2 });
    const all = Array.from({ length: 100 }, (_, at) => at);
    await router.login(all.filter((at) => at % 3 > 0).map(old));
    const next = all.map((at) => ({ ...old(at), incarnation: "pod-b.1", loginSeq: at % 3 === 1 ? 3 : 1 }));
    const outcomes = await router.login(next);
    all.forEach((at) => {
      const expected = [{ kind: "ok" }, { kind: "ok", replaced: old(at) }, { kind: "stale", holder: old(at) }];
      assert.deepEqual(outcomes[at], expected[at % 3], `session ${at}`);
    });
    const holds = (at: number): boolean => at % 3 < 2;
    assert.deepEqual(await router.logout(next), all.map(holds));
    assert.equal((await router.lookup(all.map((at) => `u${at}`))).size, all.filter((at) => !holds(at)).length);
  });
}

function fencing(create: () => Promise<RouterHarness>): void {
  it("tells what there is of incarnations", async () => {
    const { router, lapseLeases } = await create();
    await router.login([route(), route({ userId: "bob", conn: 2 }), route({ userId: "carol", conn: 17 })]);
    await router.login([route({ userId: "dave", incarnation: "pod-b.1", conn: 1 })]);
    await router.renewLease("pod-a.1");
    const ask = () => router.inspect(["pod-c.1", "pod-a.1", "pod-b.1"]);
    assert.deepEqual(await ask(), [
      { routes: 0, isLeased: false },
      { routes: 3, isLeased: true },
      { routes: 1, isLeased: false },
    ]);
    await lapseLeases();
    await router.fence("pod-a.1");
    await router.purge("pod-a.1");
    assert.deepEqual((await ask())[1], { routes: 0, isLeased: false });
    assert.deepEqual(await router.inspect([]), []);
  });

  it("leaves no route of a connection whose login is refused for its fence", async () => {
    const { router } = await create();
    const before = route({ incarnation: "pod-b.1", conn: 3 });
    await router.login([before]);
    await router.fence("pod-b.1");
    assert.deepEqual(await router.login([before]), [{ kind: "fenced" }]);
    assert.deepEqual(await router.logout([before]), [false]);
  });

  it("refuses a fenced incarnation everything and keeps what it tried to replace", async () => {
    const { router } = await create();
    await router.renewLease("pod-a.1");
    await router.renewLease("pod-b.1");
    await router.login([route()]);
    await router.fence("pod-b.1");
    assert.equal(await router.renewLease("pod-b.1"), "fenced");
    const zombie = route({ incarnation: "pod-b.1", conn: 7, loginSeq: 5 });
    assert.deepEqual(await router.login([zombie]), [{ kind: "fenced" }]);
    assert.deepEqual((await router.lookup(["alice"])).get("alice"), [route()]);
  });

  it("purges the routes of one incarnation and no other, and has nothing to do the second time", async () => {
    const { router } = await create();
    await router.renewLease("pod-a.1");
    await router.renewLease("pod-b.1");
    const many = Array.from({ length: 1200 }, (_, at) => route({ userId: `u${at}`, conn: at + 1 }));
    await router.login(many);
    const moved = route({ userId: "u5", incarnation: "pod-b.1", conn: 1, loginSeq: 2 });
    await router.login([moved]);
    await router.fence("pod-a.1");
    assert.deepEqual(await router.purge("pod-a.1"), { deleted: 1199, remaining: 0 });
    assert.deepEqual(await router.purge("pod-a.1"), { deleted: 0, remaining: 0 });
    assert.deepEqual((await router.lookup(["u5", "u6"])).get("u5"), [moved]);
  });

  it("finds a re-login on the same entry when it purges, although the old connection closed later", async () => {
    const { router } = await create();
    await router.login([route()]);
    await router.login([route({ conn: 2, loginSeq: 2 })]);
    await router.logout([{ userId: "alice", incarnation: "pod-a.1", conn: 1 }]);
    await router.fence("pod-a.1");
    assert.deepEqual(await router.purge("pod-a.1"), { deleted: 1, remaining: 0 });
  });

  it("changes its generation when it forgets, and takes announcements again", async () => {
    const { router, flush } = await create();
    const before = await router.generation();
    assert.equal(before.isNew, true);
    assert.deepEqual(await router.generation(), { id: before.id, isNew: false });
    await router.login([route()]);
    await flush();
    const now = await router.generation();
    assert.ok(now.isNew && now.id !== before.id);
    await router.renewLease("pod-a.1");
    assert.equal((await router.lookup(["alice"])).size, 0);
    assert.deepEqual(await router.login([route()]), [{ kind: "ok" }]);
    assert.deepEqual((await router.lookup(["alice"])).get("alice"), [route()]);
  });
}
