// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import type { LogicPort } from "../session/uplink-port.ts";
import { type Announceable, REASSERT_PERIOD_MS, SessionAnnouncer } from "./announcer.ts";

const logic: LogicPort = { name: "logic", isUsable: true, load: 0, send: () => true, sendControl: () => undefined };

function setUp(sessions: number, others = 0) {
  const clock = new FakeClock();
  const announced: number[] = [];
  const connections = new Map<number, Announceable>();
  const add = (conn: number, session: object | undefined): void => {
    connections.set(conn, { session, announce: () => announced.push(conn) });
  };
  for (let conn = 1; conn <= sessions; conn++) add(conn, {});
  for (let conn = sessions + 1; conn <= sessions + others; conn++) add(conn, undefined);
  const world = { logic: logic as LogicPort | undefined };
  const announcer = new SessionAnnouncer({
    connections: () => connections.values(),
    sessions: () => sessions,
    logics: { choose: () => world.logic },
    clock,
    random: () => 0.5,
  });
  return { clock, announced, connections, add, announcer, world };
}

describe("SessionAnnouncer", () => {
  it("announces 20,000 sessions after its jitter, paced, within a second", () => {
    const { clock, announced, announcer } = setUp(20_000);
    announcer.announceAll();
    clock.advance(99);
    assert.equal(announced.length, 0);
    clock.advance(1);
    assert.equal(announced.length, 500);
    clock.advance(10);
    assert.equal(announced.length, 1000);
    clock.advance(390);
    assert.deepEqual([announced.length, new Set(announced).size], [20_000, 20_000]);
    clock.advance(60_000);
    assert.equal(announced.length, 20_000);
    assert.equal(clock.pending, 0);
  });

  it("starts over when it is asked again in the middle, and not when before it began", () => {
    const { clock, announced, announcer } = setUp(1000);
    announcer.announceAll();
    announcer.announceAll();
    clock.advance(100);
    announcer.announceAll();
    announcer.announceAll();
    clock.advance(10_000);
    assert.equal(announced.length, 2000);
  });

  it("announces every session once in five minutes, asked or not", () => {
    for (const sessions of [1, 299, 20_000]) {
      const { clock, announced, announcer } = setUp(sessions, 50);
      announcer.start();
      for (let passedMs = 0; passedMs < REASSERT_PERIOD_MS + 10_000; passedMs += 1000) {
        const before = announced.length;
        clock.advance(1000);
        assert.ok(announced.length - before <= 500, "bounded");
      }
      assert.equal(new Set(announced).size, sessions);
      announcer.stop();
      assert.equal(clock.pending, 0);
    }
  });

  it("takes in connections that come while it walks, and leaves out those that went", () => {
    const { clock, announced, announcer, connections, add } = setUp(700);
    announcer.announceAll();
    clock.advance(100);
    connections.delete(650);
    add(5000, {});
    clock.advance(100);
    assert.ok(announced.includes(5000));
    assert.ok(!announced.includes(650));
  });

  it("binds nobody to a logic that is gone: a walk goes on with the next one that attaches", () => {
    const { clock, announced, announcer, world } = setUp(700);
    announcer.announceAll();
    world.logic = undefined;
    clock.advance(30_000);
    assert.equal(announced.length, 0);
    world.logic = logic;
    for (let passedMs = 0; passedMs < 1000 && announced.length === 0; passedMs++) clock.advance(1);
    assert.equal(announced.length, 500);
    world.logic = undefined;
    clock.advance(30_000);
    assert.equal(announced.length, 500, "in the middle, too");
    world.logic = logic;
    clock.advance(1000);
    assert.deepEqual([announced.length, new Set(announced).size, clock.pending], [700, 700, 0]);
  });

  it("waits while no logic is attached", () => {
    const { clock, announced, announcer, world } = setUp(10);
    world.logic = undefined;
    announcer.start();
    clock.advance(5000);
    assert.equal(announced.length, 0);
    world.logic = logic;
    clock.advance(12_000);
    assert.equal(new Set(announced).size, 10);
    announcer.stop();
  });
});
