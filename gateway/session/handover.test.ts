// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { type RecordInput, RecordKind } from "#proto/uplink/record.ts";
import { Handover } from "./handover.ts";
import type { LogicPort } from "./uplink-port.ts";

class TestLogic implements LogicPort {
  readonly name: string;
  isUsable = true;
  load = 0;
  readonly sent: RecordInput[] = [];

  constructor(name: string) {
    this.name = name;
  }

  send(record: RecordInput): boolean {
    this.sent.push(record);
    return true;
  }

  sendControl(record: RecordInput): void {
    this.sent.push(record);
  }

  conns(kind: number): (number | undefined)[] {
    return this.sent.flatMap((record) => (record.kind === kind ? [record.conn] : []));
  }
}

function setUp() {
  const logics = [new TestLogic("a"), new TestLogic("b")] as const;
  const clock = new FakeClock();
  const handover = new Handover({ choose: () => logics.find(({ isUsable }) => isUsable) }, clock);
  const lose = (logic: TestLogic): void => {
    logic.isUsable = false;
    handover.lost(logic);
  };
  return { a: logics[0], b: logics[1], clock, handover, lose };
}

describe("handover", () => {
  it("tells another logic which connections closed, and only of those that the lost one knew", () => {
    const { a, b, handover, lose } = setUp();
    handover.closed(1, a);
    handover.closed(2, b);
    lose(a);
    assert.deepEqual(b.conns(RecordKind.LOGIN_ABORTED), [1]);
    handover.retell();
    assert.deepEqual(b.conns(RecordKind.LOGIN_ABORTED), [1], "once");
  });

  it("tells them once more when a login that was cut off must have ended", () => {
    const { a, b, clock, handover, lose } = setUp();
    handover.closed(1, a);
    lose(a);
    clock.advance(29_999);
    assert.deepEqual(b.conns(RecordKind.LOGIN_ABORTED), [1]);
    clock.advance(1);
    assert.deepEqual(b.conns(RecordKind.LOGIN_ABORTED), [1, 1]);
    clock.advance(120_000);
    assert.deepEqual(b.conns(RecordKind.LOGIN_ABORTED), [1, 1]);
    assert.equal(clock.pending, 0);
  });

  it("keeps both while no logic is there, and over the loss of the second one", () => {
    const { a, b, handover, lose } = setUp();
    handover.closed(1, a);
    handover.logout(2, "tag");
    assert.deepEqual(a.conns(RecordKind.LOGOUT), [2]);
    b.isUsable = false;
    lose(a);
    assert.equal(b.sent.length, 0);
    b.isUsable = true;
    handover.retell();
    assert.deepEqual([b.conns(RecordKind.LOGIN_ABORTED), b.conns(RecordKind.LOGOUT)], [[1], [2]]);
    a.isUsable = true;
    lose(b);
    assert.deepEqual([a.conns(RecordKind.LOGIN_ABORTED), a.conns(RecordKind.LOGOUT)], [[1], [2, 2]]);
    handover.close();
  });

  it("tells of a logout until it is confirmed", () => {
    const { a, b, handover, lose } = setUp();
    handover.logout(7, "tag");
    handover.logoutDone(7);
    lose(a);
    assert.deepEqual(b.conns(RecordKind.LOGOUT), []);
    assert.equal(handover.logouts, 0);
  });

  it("forgets the oldest beyond its bounds", () => {
    const { a, b, handover, lose } = setUp();
    for (let conn = 1; conn <= 20_000; conn++) handover.closed(conn, a);
    for (let conn = 1; conn <= 40_000; conn++) handover.logout(conn, "t");
    assert.equal(handover.logouts, 32_768);
    lose(a);
    const told = b.conns(RecordKind.LOGIN_ABORTED);
    assert.deepEqual([told.length, told[0]], [16_384, 20_000 - 16_384 + 1]);
    handover.close();
  });
});
