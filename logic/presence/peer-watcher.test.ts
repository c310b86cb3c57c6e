// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { Command, Flag } from "#proto/commands.ts";
import { Presence } from "#proto/gen/messages.ts";
import { type RecordInput, RecordKind } from "#proto/uplink/record.ts";
import { unreadMetrics } from "../metrics.ts";
import { MemoryRouter } from "../router/memory.ts";
import type { Route } from "../router/router.ts";
import type { Session } from "../session/session.ts";
import { MemoryChangeLog } from "./change-log-memory.ts";
import { partedNote } from "./parted.ts";
import { lookAt } from "./peer-look.ts";
import { PeerWatcher, TICK_MS } from "./peer-watcher.ts";
import { HOLD_MS, RouterMemory } from "./router-memory.ts";
import type { WatchBounds } from "./watch-list.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A router, a log, and sessions of one entry that watch. */
class World {
  readonly clock = new FakeClock();
  readonly router = new MemoryRouter(this.clock, 13_000);
  readonly log = new MemoryChangeLog(20);
  readonly memory = new RouterMemory({ clock: this.clock, isSame: async () => true });
  readonly faults: string[] = [];
  readonly sent: { conn: number; peers: string[] }[] = [];
  isFull = false;
  readonly open = new Set<number>();
  readonly watcher: PeerWatcher;
  #logins = 0;

  constructor(bounds?: WatchBounds) {
    this.watcher = new PeerWatcher({
      ...{ log: this.log, router: this.router, memory: this.memory, clock: this.clock, metrics: unreadMetrics() },
      onFault: (op) => void this.faults.push(op),
      ...(bounds ? { bounds } : {}),
    });
  }

  readonly #send = (record: RecordInput): boolean => {
    if (this.isFull) return false;
    const { kind, cmd, flags, rid = 0, conn = 0, body = new Uint8Array(0) } = record;
    assert.deepEqual([kind, cmd, flags, rid], [RecordKind.REPLY, Command.PRESENCE, Flag.NO_PERSIST, 0]);
    const { peers } = Presence.decode(body);
    this.sent.push({ conn, peers: peers.map(({ userId, platforms }) => `${userId}:${platforms.join("+")}`).sort() });
    return true;
  };

  session(conn: number): Session {
    this.open.add(conn);
    return {
      entry: { incarnation: "pod-a.1", send: this.#send },
      ...{
        conn,
        userId: `watcher-${conn}`,
        slot: "mobile",
        deviceId: "d",
        deviceName: "",
        loginSeq: 1,
        epochMark: 1,
        notedAckSeq: 0,
      },
      token: { tokenId: "", issuedAtMs: 0, expiresAtMs: 0 },
    };
  }

  /** As the handler does: registers, looks, tells what it saw. */
  async watch(session: Session, userIds: readonly string[], endsAtMs = 1e9): Promise<boolean> {
    const isOpen = (): boolean => this.open.has(session.conn);
    const watch = this.watcher.watch({ session, isOpen, userIds, endsAtMs, checkedAtMs: 0 });
    for (const [userId, look] of await lookAt(this.router, userIds)) this.watcher.begin(userId, look, 5);
    return watch !== undefined;
  }

  async login(userId: string, over: Partial<Route> = {}, isNoted = true): Promise<Route> {
    const seq = ++this.#logins;
    const route = {
      userId,
      slot: "mobile",
      incarnation: "pod-a.1",
      conn: 100 + seq,
      loginSeq: seq,
      deviceId: "d",
      ...over,
    };
    await this.router.login([route]);
    if (isNoted) await this.log.append([userId]);
    return route;
  }

  async logout(route: Route, isNoted = true): Promise<void> {
    await this.router.logout([route]);
    if (isNoted) await this.log.append([route.userId]);
  }

  /** Ticks; every lease of `live` holds. */
  async ticks(count: number, live: readonly string[] = ["pod-a.1"]): Promise<void> {
    for (let done = 0; done < count; done++) {
      if (!this.router.isDown) for (const incarnation of live) await this.router.renewLease(incarnation);
      this.clock.advance(TICK_MS);
      await turn();
    }
  }

  /** What was sent since the last call. */
  take(): { conn: number; peers: string[] }[] {
    return this.sent.splice(0);
  }
}

async function watching(bounds?: WatchBounds): Promise<{ world: World; alice: Session }> {
  const world = new World(bounds);
  await world.router.renewLease("pod-a.1");
  const alice = world.session(1);
  await world.watch(alice, ["bob", "carol"]);
  await world.ticks(2);
  assert.deepEqual(world.take(), []);
  return { world, alice };
}

describe("watching peers", () => {
  it("tells who comes with the next tick, and who leaves with the one after", async () => {
    const { world } = await watching();
    const route = await world.login("bob");
    await world.ticks(1);
    assert.deepEqual(world.take(), [{ conn: 1, peers: ["bob:mobile"] }]);
    await world.logout(route);
    await world.ticks(1);
    assert.deepEqual(world.take(), []);
    await world.ticks(1);
    assert.deepEqual(world.take(), [{ conn: 1, peers: ["bob:"] }]);
    await world.ticks(100);
    assert.deepEqual(world.take(), []);
  });

  it("puts what changed in a tick into one frame, and each session hears of its own peers", async () => {
    const { world } = await watching();
    await world.watch(world.session(2), ["carol", "dave"]);
    await world.login("bob");
    await world.login("carol", { slot: "web" });
    await world.login("carol", { slot: "mobile#2" });
    await world.login("stranger");
    await world.ticks(1);
    assert.deepEqual(world.take(), [
      { conn: 1, peers: ["bob:mobile", "carol:mobile+web"] },
      { conn: 2, peers: ["carol:mobile+web"] },
    ]);
  });

  it("takes two who parted out of each other's sight, and nobody else's", async () => {
    const world = new World();
    const [one, other] = [world.session(1), world.session(2)];
    for (const userId of ["watcher-1", "watcher-2", "bob"]) await world.login(userId);
    await world.watch(one, ["watcher-2", "bob"]);
    await world.watch(other, ["watcher-1", "bob"]);
    await world.ticks(2);
    world.take();
    await world.log.append([partedNote("watcher-1", "watcher-2")]);
    await world.ticks(1);
    assert.deepEqual(world.take(), [
      { conn: 1, peers: ["watcher-2:"] },
      { conn: 2, peers: ["watcher-1:"] },
    ]);
    assert.deepEqual([...(world.watcher.find(one)?.peers.keys() ?? [])], ["bob"]);
    assert.equal(world.watcher.peers, 1);
  });

  it("says nothing of somebody who reconnects, on whatever entry", async () => {
    const { world } = await watching();
    const first = await world.login("bob");
    await world.ticks(1, ["pod-a.1", "pod-b.1"]);
    world.take();
    await world.logout(first);
    await world.ticks(1, ["pod-a.1", "pod-b.1"]);
    await world.login("bob", { incarnation: "pod-b.1" });
    await world.ticks(5, ["pod-a.1", "pod-b.1"]);
    assert.deepEqual(world.take(), []);
  });

  it("calls those of a crashed entry offline when its lease has run out, without a note", async () => {
    const { world } = await watching();
    await world.login("bob", { incarnation: "pod-b.1" });
    await world.login("carol");
    await world.ticks(1, ["pod-a.1", "pod-b.1"]);
    assert.equal(world.take().length, 1);
    const leaseTicks = Math.ceil(13_000 / TICK_MS);
    await world.ticks(leaseTicks - 1);
    assert.deepEqual(world.take(), []);
    await world.ticks(3);
    assert.deepEqual(world.take(), [{ conn: 1, peers: ["bob:"] }]);
  });

  it("finds within the sweep what nobody noted", async () => {
    const { world } = await watching();
    await world.login("bob", {}, false);
    await world.ticks(80);
    assert.deepEqual(world.take(), [{ conn: 1, peers: ["bob:mobile"] }]);
  });

  it("leaves everybody as they were while the router is away, and catches up", async () => {
    const { world } = await watching();
    const route = await world.login("bob");
    await world.ticks(1);
    world.take();
    world.router.isDown = true;
    await world.log.append(["bob", "carol"]);
    await world.ticks(60);
    assert.deepEqual(world.take(), []);
    assert.ok(world.faults.length > 0);
    world.router.isDown = false;
    await world.router.renewLease("pod-a.1");
    await world.ticks(5);
    assert.deepEqual(world.take(), [], "nobody blinked");
    await world.logout(route);
    world.log.isDown = true;
    await world.ticks(10);
    assert.deepEqual(world.take(), []);
    world.log.isDown = false;
    await world.ticks(2);
    assert.deepEqual(world.take(), [{ conn: 1, peers: ["bob:"] }]);
  });

  it("calls nobody offline while a flushed router is told again who is there", async () => {
    for (const how of ["gap", "hold"] as const) {
      const { world } = await watching();
      const [bob, carol] = [await world.login("bob"), await world.login("carol")];
      await world.ticks(1);
      world.take();
      world.router.flush();
      if (how === "gap") world.log.flush();
      else world.memory.forgotten();
      await world.ticks(5);
      await world.router.login([bob]);
      await world.ticks(HOLD_MS / TICK_MS - 6);
      assert.deepEqual(world.take(), [], how);
      await world.ticks(4);
      assert.deepEqual(world.take(), [{ conn: 1, peers: ["carol:"] }], how);
      await world.router.login([carol]);
    }
  });

  it("calls nobody offline after a flush that came while nobody watched", async () => {
    const world = new World();
    await world.login("bob");
    await world.ticks(1);
    world.router.flush();
    world.log.flush();
    world.memory.forgotten();
    const alice = world.session(1);
    world.watcher.watch({ session: alice, isOpen: () => true, userIds: ["bob"], endsAtMs: 1e9, checkedAtMs: 0 });
    // Somebody who looked a moment before the flush saw him.
    world.watcher.begin("bob", { platforms: ["mobile"], incarnations: ["pod-a.1"] }, 5);
    await world.ticks(Math.floor(HOLD_MS / TICK_MS));
    assert.deepEqual(world.take(), []);
    await world.ticks(4);
    assert.deepEqual(world.take(), [{ conn: 1, peers: ["bob:"] }], "once the entries have had their time");
  });

  it("keeps what cannot be written, and tells the newest state once it can", async () => {
    const { world } = await watching();
    world.isFull = true;
    const route = await world.login("bob");
    await world.ticks(1);
    await world.login("carol");
    await world.ticks(1);
    await world.logout(route);
    await world.ticks(3);
    assert.deepEqual(world.take(), []);
    world.isFull = false;
    await world.ticks(1);
    assert.deepEqual(world.take(), [{ conn: 1, peers: ["bob:", "carol:mobile"] }]);
  });

  it("ends with the lease, with the connection, and when it is dropped; then it does nothing at all", async () => {
    const { world, alice } = await watching();
    world.watcher.drop(alice);
    await world.watch(world.session(2), ["bob"], world.clock.nowMs() + 1000);
    await world.watch(world.session(3), ["bob"]);
    world.open.delete(3);
    await world.ticks(11);
    assert.deepEqual([world.watcher.sessions, world.watcher.peers], [0, 0]);
    await world.login("bob");
    await world.ticks(5);
    assert.deepEqual([world.take(), world.clock.pending], [[], 0]);
    await world.watch(alice, ["bob"]);
    await world.login("bob", { slot: "web" });
    await world.ticks(1);
    assert.deepEqual(world.take(), [{ conn: 1, peers: ["bob:mobile+web"] }], "and begins again");
    world.watcher.close();
    assert.equal(world.clock.pending, 0);
  });

  it("refuses what is over its bounds and goes on with what it had", async () => {
    const { world, alice } = await watching({ maxPeers: 2, maxPairs: 10 });
    assert.equal(await world.watch(alice, ["bob", "carol", "dave"]), false);
    await world.login("bob");
    await world.ticks(1);
    assert.equal(world.take().length, 1);
  });

  it("tells 2,000 sessions a tick", async () => {
    const world = new World();
    for (let conn = 1; conn <= 2500; conn++) await world.watch(world.session(conn), ["bob"]);
    await world.ticks(1);
    await world.login("bob");
    await world.ticks(1);
    assert.equal(world.take().length, 2000);
    await world.ticks(1);
    assert.equal(world.take().length, 500);
    await world.ticks(2);
    assert.equal(world.take().length, 0);
  });

  it("misses no change between the look of a subscription and the first tick", async () => {
    const world = new World();
    await world.router.renewLease("pod-a.1");
    const alice = world.session(1);
    await world.watch(alice, ["bob"]);
    await world.login("bob");
    await world.ticks(1);
    assert.deepEqual(world.take(), [{ conn: 1, peers: ["bob:mobile"] }]);
    await world.watch(alice, ["bob", "carol"]);
    await world.login("carol", {}, false);
    await world.ticks(1);
    assert.deepEqual(world.take(), [{ conn: 1, peers: ["carol:mobile"] }]);
  });
});
