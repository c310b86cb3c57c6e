// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DisconnectCode } from "#lib/codes.ts";
import { silentLogger } from "#lib/logger.ts";
import { Command } from "#proto/commands.ts";
import { Goaway } from "#proto/gen/messages.ts";
import { Drain, type DrainOrder, type ReconnectGrant } from "./drain.ts";
import { event, type FakeCarrier, openSession, send, setUp } from "./testing/connection-kit.ts";

const ORDER: DrainOrder = { drainId: "d", windowMs: 5_000, deadlineMs: 60_000 };
const lease = (number: number, connections: number, more: Partial<ReconnectGrant> = {}): ReconnectGrant => ({
  ...{ number, connections, afterMs: 0, spreadMs: 1_000, ttlMs: 10_000 },
  ...more,
});

/** So many clients; user `u0` was silent longest. */
function fleet(clients: number, random: () => number = () => 0.5) {
  const world = setUp();
  const sessions = Array.from({ length: clients }, (_, at) => {
    world.clock.advance(clients > 10 ? 10 : 1_000);
    return openSession(world, { userId: `u${at}` });
  });
  const drain = new Drain(world.hub, world.clock, silentLogger, random);
  const delayOf = ({ carrier, connection }: (typeof sessions)[number]): number | undefined => {
    connection.flush();
    const asked = carrier.frames().filter(({ cmd }) => cmd === Command.GOAWAY);
    assert.ok(asked.length <= 1, "nobody is asked twice");
    return asked[0] && Goaway.decode(asked[0].body).minDelayMs;
  };
  /** Delays by user; undefined = not asked. */
  const delays = () => sessions.map(delayOf);
  const isOpen = (carrier: FakeCarrier) => carrier.ended === undefined;
  return { ...world, sessions, drain, delays, open: () => sessions.filter(({ carrier }) => isOpen(carrier)).length };
}

describe("the order of a drain", () => {
  /** Users in the order in which they are asked. */
  function orderOf({ drain, clock, delays, sessions }: ReturnType<typeof fleet>): number[] {
    const order: number[] = [];
    drain.start(ORDER);
    for (let ms = 0; ms < ORDER.windowMs; ms += 20) {
      for (const [at, delayMs] of delays().entries()) if (delayMs !== undefined && !order.includes(at)) order.push(at);
      clock.advance(20);
    }
    assert.equal(order.length, sessions.length);
    assert.deepEqual(drain.figures, { initial: order.length, asked: order.length, forced: 0, waiting: 0 });
    return order;
  }

  it("asks those first that were silent longest", () => {
    assert.deepEqual(orderOf(fleet(5)), [0, 1, 2, 3, 4]);
  });

  it("asks those last that are in the middle of something", () => {
    const world = fleet(3);
    world.clock.advance(2_000);
    world.sessions[0]?.connection.onDeliver(6, event(6), 0);
    const { connection } = world.sessions[1] ?? assert.fail();
    connection.onDeliver(6, event(6), 0);
    send(connection, Command.PUSH_ACK);
    assert.deepEqual(orderOf(world), [2, 1, 0], "u1 has acknowledged, and so was heard later than u2");
  });
});

describe("a drain with leases", () => {
  it("asks as many as each lease says, within its time", () => {
    const { drain, delays } = fleet(5);
    drain.start({ ...ORDER, lease: lease(7, 2) });
    assert.deepEqual(delays(), [250, 750, undefined, undefined, undefined], "each in the middle of its part");
    assert.equal(drain.figures.waiting, 3);
    drain.start({ ...ORDER, lease: lease(8, 1, { afterMs: 300, spreadMs: 200 }) });
    assert.deepEqual(delays(), [250, 750, 400, undefined, undefined]);
  });

  it("asks evenly, whatever the dice say: no part of the time gets more than its share", () => {
    const { drain, delays } = fleet(40, Math.random);
    drain.start({ ...ORDER, lease: lease(1, 40, { afterMs: 100 }) });
    const parts = delays().map((delayMs) => Math.floor(((delayMs ?? 0) - 100) / 100));
    for (let part = 0; part < 10; part++) {
      const count = parts.filter((one) => one === part).length;
      assert.ok(count >= 3 && count <= 5, `${count} of 40 in a tenth of the time`);
    }
  });

  it("tells each client where there is room, as the newest order says, and not all of them the same first", () => {
    const { drain, sessions } = fleet(6);
    const endpoints = ["a:443", "b:443", "c:443", "d:443"];
    drain.start({ ...ORDER, lease: lease(1, 4), endpoints });
    drain.start({ ...ORDER, lease: lease(2, 1), endpoints: ["e:443"] });
    drain.start({ ...ORDER, lease: lease(3, 1) });
    const told = sessions.map(({ carrier, connection }) => {
      connection.flush();
      const [asked] = carrier.frames().filter(({ cmd }) => cmd === Command.GOAWAY);
      return asked ? Goaway.decode(asked.body).endpoints.join() : undefined;
    });
    const rotated = ["a:443,b:443,c:443", "b:443,c:443,d:443", "c:443,d:443,a:443", "d:443,a:443,b:443"];
    assert.deepEqual(told.slice(0, 4).sort(), rotated);
    assert.deepEqual(told.slice(4), ["e:443", ""]);
  });

  it("takes a lease once, and none that is out of turn", () => {
    const { drain } = fleet(5);
    const order = { ...ORDER, lease: lease(7, 2) };
    for (const again of [order, order, { ...ORDER, lease: lease(6, 2) }]) drain.start(again);
    assert.equal(drain.figures.asked, 2);
  });

  it("goes on by its own window when no lease comes in time", () => {
    const { drain, clock } = fleet(4);
    drain.start({ ...ORDER, lease: lease(1, 1) });
    clock.advance(9_000);
    drain.start({ ...ORDER, lease: lease(2, 0) });
    clock.advance(9_999);
    assert.equal(drain.figures.asked, 1, "an empty lease is a sign of life");
    clock.advance(1);
    assert.equal(drain.figures.asked, 2);
    clock.advance(5_000);
    assert.equal(drain.figures.asked, 4);
    drain.start({ ...ORDER, lease: lease(3, 4) });
    assert.equal(drain.figures.asked, 4);
  });

  it("takes leases again when they come again: those that were not asked meanwhile wait for them", () => {
    const { drain, clock, delays } = fleet(4);
    drain.start({ ...ORDER, lease: lease(1, 1) });
    clock.advance(10_000);
    assert.equal(drain.figures.asked, 2, "the first one of its own window");
    drain.start({ ...ORDER, lease: lease(2, 1) });
    assert.equal(drain.figures.asked, 3);
    clock.advance(9_000);
    assert.equal(drain.figures.asked, 3, "its own window has ended");
    drain.start({ ...ORDER, lease: lease(3, 5) });
    assert.equal(drain.figures.asked, 4);
    assert.ok(delays().every((delayMs) => delayMs !== undefined));
  });

  it("of another id counts its leases anew", () => {
    const { drain } = fleet(4);
    drain.start({ ...ORDER, lease: lease(7, 1) });
    drain.start({ ...ORDER, drainId: "e", lease: lease(1, 2) });
    assert.equal(drain.figures.asked, 3);
  });

  it("asks those that log in later when it is their turn", () => {
    const world = fleet(1);
    world.drain.start({ ...ORDER, lease: lease(1, 1) });
    const late = openSession(world, { userId: "late" });
    world.drain.onLogin(late.connection);
    assert.equal(world.drain.figures.waiting, 1);
    world.drain.start({ ...ORDER, lease: lease(2, 1) });
    assert.equal(world.drain.figures.waiting, 0);
  });

  it("is overtaken by SIGTERM, which asks everybody", () => {
    const { drain, clock, open } = fleet(4);
    drain.start({ ...ORDER, lease: lease(1, 1) });
    drain.start({ drainId: "sigterm", windowMs: 100, deadlineMs: 1_000 });
    clock.advance(20);
    assert.equal(drain.figures.asked, 4);
    clock.advance(980);
    assert.equal(open(), 0, "and has its own deadline");
  });
});

describe("the deadline of a drain", () => {
  it("closes what is left within three seconds, not all at once", () => {
    const { drain, clock, hub, open } = fleet(200);
    drain.start({ ...ORDER, deadlineMs: 10_000 });
    clock.advance(9_999);
    assert.equal(open(), 200);
    clock.advance(1);
    assert.equal(open(), 150);
    clock.advance(2_999);
    assert.deepEqual([open(), hub.connections, drain.figures.forced], [0, 0, 200]);
  });

  it("says why", () => {
    const { drain, clock, sessions } = fleet(1);
    drain.start({ ...ORDER, deadlineMs: 10 });
    clock.advance(10);
    assert.equal(sessions[0]?.carrier.ended, DisconnectCode.DRAINED);
  });

  it("closes nobody when they may stay, until somebody orders it", () => {
    const { drain, clock, open } = fleet(3);
    const held = { ...ORDER, deadlineMs: 1_000, isHeld: true };
    drain.start(held);
    clock.advance(600_000);
    // Silent clients are closed by their heartbeat; these are not drained.
    assert.equal(drain.figures.forced, 0);
    const left = open();
    drain.start({ ...held, isForced: true });
    assert.deepEqual([open(), drain.figures.forced], [0, left]);
  });

  it("does not hurry those that may stay beyond it", () => {
    const { drain, clock, delays } = fleet(2);
    drain.start({ ...ORDER, deadlineMs: 1_000, isHeld: true, lease: lease(1, 1) });
    clock.advance(5_000);
    drain.start({ ...ORDER, deadlineMs: 1_000, isHeld: true, lease: lease(2, 1) });
    assert.deepEqual(delays(), [500, 500]);
  });

  it("does not come back after a stop", () => {
    const { drain, clock, open } = fleet(1);
    drain.start({ ...ORDER, deadlineMs: 1_000, lease: lease(1, 0) });
    drain.stop();
    clock.advance(20_000);
    assert.deepEqual([open(), drain.figures.asked], [1, 0]);
  });
});

describe("the deadline of a drain with leases", () => {
  const force = (number: number, connections: number, more: Partial<ReconnectGrant> = {}) => ({
    ...{ ...ORDER, isForced: true },
    lease: lease(number, connections, more),
  });
  /** A hundred clients of a drain whose deadline has just passed. */
  function late() {
    const world = fleet(100);
    world.drain.start({ ...ORDER, deadlineMs: 2_000, lease: lease(1, 0) });
    world.clock.advance(2_000);
    return world;
  }

  it("closes as many as each lease says, spread over its time", () => {
    const { drain, clock, open } = late();
    assert.equal(open(), 100, "nobody is closed before the operator says so");
    drain.start(force(2, 40));
    assert.equal(open(), 99, "the first one at once");
    clock.advance(500);
    assert.ok(open() >= 78 && open() <= 80, `${open()} are left after half of the time`);
    drain.start(force(2, 40));
    clock.advance(500);
    assert.deepEqual([open(), drain.figures.forced], [60, 40], "a repeated one adds nothing");
    drain.start(force(3, 10, { afterMs: 300, spreadMs: 0 }));
    clock.advance(299);
    assert.equal(open(), 60);
    clock.advance(101);
    assert.equal(open(), 50);
  });

  it("closes no more than there are, and what is left within three seconds when no lease comes", () => {
    const { drain, clock, open, hub } = late();
    drain.start(force(2, 20));
    clock.advance(9_999);
    assert.equal(open(), 80);
    clock.advance(3_001);
    assert.deepEqual([open(), hub.connections, drain.figures.forced], [0, 0, 100]);
    const few = late();
    few.drain.start(force(2, 1_000, { spreadMs: 0 }));
    few.clock.advance(100);
    assert.deepEqual([few.open(), few.drain.figures.forced], [0, 100]);
  });

  it("may come before the entry knows that it is late, or when leases had ended", () => {
    const early = fleet(10);
    early.drain.start({ ...ORDER, lease: lease(1, 0) });
    early.drain.start(force(2, 4, { spreadMs: 0 }));
    assert.deepEqual([early.open(), early.drain.figures.asked], [6, 0]);
    const alone = fleet(100);
    alone.drain.start({ ...ORDER, windowMs: 60_000, deadlineMs: 120_000 });
    alone.drain.start(force(1, 4, { spreadMs: 0 }));
    assert.equal(alone.open(), 96);
    alone.clock.advance(13_000);
    assert.equal(alone.open(), 0, "without another one it ends by itself");
  });

  it("is overtaken by SIGTERM, which has its own deadline", () => {
    const { drain, clock, open } = late();
    drain.start(force(2, 10, { spreadMs: 20_000, ttlMs: 60_000 }));
    drain.start({ drainId: "sigterm", windowMs: 1_000, deadlineMs: 5_000, isFinal: true });
    clock.advance(4_900);
    assert.deepEqual([open(), drain.figures.asked], [99, 99]);
    clock.advance(3_100);
    assert.equal(open(), 0);
  });
});

describe("the drain with which the process ends", () => {
  it("is changed by no order that comes late", () => {
    const { drain, clock, open } = fleet(4);
    drain.start({ ...ORDER, lease: lease(1, 0) });
    drain.start({ drainId: "sigterm", windowMs: 100, deadlineMs: 1_000, isFinal: true });
    drain.start({ ...ORDER, deadlineMs: 600_000, lease: lease(2, 0, { ttlMs: 60_000 }) });
    drain.start({ drainId: "another", windowMs: 0, deadlineMs: 600_000, isHeld: true });
    clock.advance(980);
    assert.equal(drain.figures.asked, 4);
    clock.advance(20);
    assert.equal(open(), 0);
  });
});

describe("what a drain remembers", () => {
  it("are the sessions that it asked or closed, and when they were gone", () => {
    const { drain, clock, sessions } = fleet(3);
    drain.start({ ...ORDER, deadlineMs: 10_000, lease: lease(1, 1) });
    sessions[0]?.connection.onGone();
    sessions[1]?.connection.onGone();
    clock.advance(10_000);
    const { sessions: gone, nextCursor } = drain.drained(0);
    assert.deepEqual(
      gone.map(({ userId, slot, closedAgoMs }) => [userId, slot, closedAgoMs]),
      [
        ["u0", "web", 10_000],
        ["u2", "web", 0],
      ],
      "u1 left by itself",
    );
    assert.equal(nextCursor, 0);
  });
});
