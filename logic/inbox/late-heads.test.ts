// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import type { Session } from "../session/session.ts";
import { LateHeads } from "./late-heads.ts";

function sessionOf(conn: number): Session {
  const entry = { incarnation: "pod.1", send: () => true };
  const names = { userId: "bob", slot: "web", deviceId: "d", deviceName: "d" };
  const token = { tokenId: "", issuedAtMs: 0, expiresAtMs: 0 };
  return { entry, conn, ...names, loginSeq: 1, epochMark: 1, notedAckSeq: 0, token };
}

function setUp() {
  const clock = new FakeClock();
  const told: number[] = [];
  const late = new LateHeads({ clock, delayMs: 1500, ask: ({ conn }) => void told.push(conn) });
  return { clock, told, late };
}

describe("late heads", () => {
  it("tells each session once, when its delay is over, with one timer", () => {
    const { clock, told, late } = setUp();
    late.add(sessionOf(1), () => true);
    clock.advance(1000);
    late.add(sessionOf(2), () => true);
    assert.equal(clock.pending, 1);
    clock.advance(499);
    assert.deepEqual(told, []);
    clock.advance(1);
    assert.deepEqual([told, clock.pending], [[1], 1]);
    clock.advance(1000);
    assert.deepEqual([told, clock.pending], [[1, 2], 0]);
    late.add(sessionOf(3), () => true);
    clock.advance(1500);
    assert.deepEqual(told, [1, 2, 3]);
  });

  it("leaves out what is closed by then", () => {
    const { clock, told, late } = setUp();
    let isOpen = true;
    late.add(sessionOf(1), () => isOpen);
    late.add(sessionOf(2), () => true);
    isOpen = false;
    clock.advance(1500);
    assert.deepEqual(told, [2]);
  });

  it("releases its timer", () => {
    const { clock, told, late } = setUp();
    late.add(sessionOf(1), () => true);
    late.close();
    assert.equal(clock.pending, 0);
    clock.advance(5000);
    assert.deepEqual(told, []);
  });
});
