// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Clock, FakeClock } from "#lib/clock.ts";
import { TestItem } from "./heartbeat-kit.ts";
import { type Heartbeats, NO_ECHO, TICK_MS } from "./heartbeats.ts";

const NEVER = Number.POSITIVE_INFINITY;

type Make = (clock: Clock) => Heartbeats;

function setUpOf(make: Make) {
  const heartbeats = make(new FakeClock());
  let conns = 0;
  const add = (afterTicks: number): TestItem => {
    const item = new TestItem(++conns, heartbeats.nowTick + afterTicks);
    heartbeats.schedule(item);
    return item;
  };
  const ticks = (count: number): void => {
    for (let at = 0; at < count; at++) heartbeats.tick();
  };
  const beat = (item: TestItem, afterTicks: number, echo: Uint8Array = NO_ECHO): void => {
    item.deadline = heartbeats.nowTick + afterTicks;
    heartbeats.touch(item, echo);
  };
  return { heartbeats, add, ticks, beat };
}

/** What every algorithm must do. */
export function heartbeatsContract(name: string, make: Make): void {
  describe(`heartbeats contract: ${name}`, () => {
    deadlines(() => setUpOf(make));
    closed(() => setUpOf(make));
    crowds(() => setUpOf(make), make);
  });
}

type SetUp = () => ReturnType<typeof setUpOf>;

function deadlines(setUp: SetUp): void {
  for (const after of [1, 2, 61, 511, 512, 513, 1023, 1024, 1025, 3000]) {
    it(`fires ${after} ticks ahead in the very tick, once`, () => {
      const { add, ticks } = setUp();
      const item = add(after);
      ticks(after - 1);
      assert.equal(item.diedAt, undefined);
      ticks(1);
      assert.equal(item.diedAt, 1 + after);
      ticks(after + 5);
      assert.equal(item.diedAt, 1 + after);
    });
  }

  it("what is due already fires in the next tick", () => {
    const { add, ticks } = setUp();
    const items = [add(0), add(-5)];
    ticks(1);
    assert.deepEqual(
      items.map(({ diedAt }) => diedAt),
      [2, 2],
    );
  });

  it("a connection that beats lives, and dies two intervals and a tick after its last beat", () => {
    const { add, ticks, beat, heartbeats } = setUp();
    const item = add(61);
    let lease = heartbeats.leaseOf(item) ?? NO_ECHO;
    for (let at = 0; at < 40; at++) {
      ticks(30);
      beat(item, 61, lease);
      lease = heartbeats.leaseOf(item) ?? NO_ECHO;
    }
    const last = heartbeats.nowTick;
    ticks(60);
    assert.equal(item.diedAt, undefined);
    ticks(1);
    assert.equal(item.diedAt, last + 61);
  });

  it("a deadline that moved without a word is found when the old one comes", () => {
    const { add, ticks } = setUp();
    const item = add(10);
    item.deadline += 90;
    ticks(99);
    assert.equal(item.diedAt, undefined);
    ticks(1);
    assert.equal(item.diedAt, 101);
  });

  it("a deadline that moved earlier holds once it is scheduled again", () => {
    const { add, ticks, heartbeats } = setUp();
    const item = add(600);
    item.deadline = heartbeats.nowTick + 3;
    heartbeats.schedule(item);
    heartbeats.schedule(item);
    ticks(2);
    assert.equal(item.diedAt, undefined);
    ticks(1);
    assert.equal(item.diedAt, 4);
  });

  it("long and short intervals beside each other all hold", () => {
    const { add, ticks, beat, heartbeats } = setUp();
    const intervals = [241, 61, 21, 61, 241, 11, 3];
    const items = intervals.map((ticksAhead) => add(ticksAhead));
    ticks(2);
    items.forEach((item, at) => {
      beat(item, intervals[at] ?? 0, heartbeats.leaseOf(item));
    });
    ticks(300);
    assert.deepEqual(
      items.map(({ diedAt }) => diedAt),
      intervals.map((ticksAhead) => 3 + ticksAhead),
    );
  });
}

function closed(setUp: SetUp): void {
  it("a closed connection is forgotten and not looked at again", () => {
    const { add, ticks } = setUp();
    const items = Array.from({ length: 50 }, () => add(20));
    for (const item of items) item.deadline = NEVER;
    ticks(20);
    for (const item of items) item.visits = 0;
    ticks(1100);
    assert.deepEqual(
      [...new Set(items.map(({ place, visits, diedAt }) => `${place} ${visits} ${diedAt}`))],
      ["0 0 undefined"],
    );
  });

  it("a closed connection that is touched or scheduled once more stays forgotten", () => {
    const { add, ticks, heartbeats } = setUp();
    const item = add(5);
    item.deadline = NEVER;
    heartbeats.touch(item, NO_ECHO);
    heartbeats.schedule(item);
    ticks(10);
    heartbeats.touch(item, NO_ECHO);
    heartbeats.schedule(item);
    ticks(10);
    assert.deepEqual([item.place, item.diedAt], [0, undefined]);
  });

  it("one that is closed at its deadline may linger: it schedules itself while it fires", () => {
    const { ticks, heartbeats } = setUp();
    const deaths: number[] = [];
    const item = new TestItem(1, 5);
    item.onDue = (nowTick) => {
      deaths.push(nowTick);
      item.deadline = deaths.length === 1 ? nowTick + 3 : NEVER;
      heartbeats.schedule(item);
    };
    heartbeats.schedule(item);
    ticks(50);
    assert.deepEqual([deaths, item.place], [[5, 8], 0]);
  });
}

function crowds(setUp: SetUp, make: Make): void {
  it("many that die together, and others that take their places, are told apart", () => {
    const { add, ticks } = setUp();
    const first = Array.from({ length: 3000 }, (_, at) => add(10 + (at % 3)));
    ticks(12);
    assert.equal(first.filter(({ diedAt }, at) => diedAt === 11 + (at % 3)).length, 3000);
    const second = Array.from({ length: 3000 }, () => add(7));
    ticks(7);
    assert.equal(second.filter(({ diedAt }) => diedAt === 20).length, 3000);
  });

  it("no echo changes who dies when: none, garbage, an old one, another's", () => {
    const { add, ticks, beat, heartbeats } = setUp();
    const [honest, silent, garbled, replaying, thief] = [add(61), add(61), add(61), add(61), add(61)];
    const old = heartbeats.leaseOf(replaying) ?? NO_ECHO;
    for (let at = 0; at < 5; at++) {
      ticks(30);
      const lease = heartbeats.leaseOf(honest) ?? NO_ECHO;
      beat(thief, 61, lease);
      beat(honest, 61, lease);
      beat(silent, 61);
      beat(garbled, 61, Buffer.alloc(22, 0xff));
      beat(replaying, 61, old);
    }
    const last = heartbeats.nowTick;
    ticks(200);
    for (const item of [honest, silent, garbled, replaying, thief]) assert.equal(item.diedAt, last + 61);
  });

  it("counts turns of the event loop: after a freeze it takes one step, not sixty", () => {
    const clock = new FakeClock();
    const heartbeats = make(clock);
    heartbeats.start();
    const item = new TestItem(1, heartbeats.tickAfter(5000));
    heartbeats.schedule(item);
    clock.advance(3 * TICK_MS);
    assert.equal(heartbeats.nowTick, 4);
    assert.equal(item.diedAt, undefined);
    clock.advance(4 * TICK_MS);
    assert.equal(item.diedAt, 7);
    heartbeats.stop();
    assert.equal(clock.pending, 0);
  });
}
