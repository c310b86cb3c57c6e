// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Command, Flag } from "#proto/commands.ts";
import { type BroadcastTarget, writeBroadcast } from "#proto/uplink/broadcast-record.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import { BroadcastFan } from "./broadcast-fan.ts";
import type { Connection } from "./connection.ts";

const BODY = Uint8Array.of(1, 2, 3);

function setUp(sessions: readonly ({ tenant: string; epochMark: number } | undefined)[]) {
  const got = new Map<number, Buffer[]>();
  const turns: (() => void)[] = [];
  const connections = sessions.map((session, conn) => {
    const onBroadcast = (cmd: number, frame: Buffer): void => {
      assert.equal(cmd, Command.SYS_PAGE);
      got.set(conn, [...(got.get(conn) ?? []), frame]);
    };
    return { conn, session, onBroadcast } as unknown as Connection;
  });
  const fan = new BroadcastFan(
    { find: (conn) => connections[conn], all: () => connections },
    (fn) => void turns.push(fn),
  );
  const send = (target: BroadcastTarget, seq: number, rid = 7): void => {
    const flags = Flag.URGENT | Flag.NO_PERSIST;
    const record = { kind: RecordKind.BROADCAST, cmd: Command.SYS_PAGE, flags, rid, aux: seq };
    fan.onBroadcast({ ...record, ...writeBroadcast(target, BODY) });
    for (let next = turns.shift(); next; next = turns.shift()) next();
  };
  const reached = (): number[] => [...got.keys()].sort((a, b) => a - b);
  return { fan, got, send, reached };
}

const OURS = { tenant: "", epochMark: 7 };

describe("BroadcastFan", () => {
  it("gives one frame, made once, to every session of the tenant, in portions", () => {
    const { send, got, reached } = setUp([OURS, undefined, { ...OURS, tenant: "acme" }, ...Array(1200).fill(OURS)]);
    send({ tenant: "" }, 1);
    assert.deepEqual(reached().slice(0, 3), [0, 3, 4]);
    assert.equal(reached().length, 1201);
    assert.equal(new Set([...got.values()].flat()).size, 1, "the same buffer");
  });

  it("passes on once what every logic sends", () => {
    const { send, got } = setUp([OURS]);
    for (const seq of [1, 1, 3, 2, 3, 4]) send({ tenant: "" }, seq);
    assert.equal(got.get(0)?.length, 3);
    send({ tenant: "acme" }, 4);
    assert.equal(got.get(0)?.length, 3);
  });

  it("gives it to the connections that are named, and to nobody of another epoch", () => {
    const { send, reached } = setUp([OURS, OURS, undefined, { ...OURS, epochMark: 8 }]);
    send({ conns: [1, 2, 3, 99] }, 1);
    assert.deepEqual(reached(), [1]);
    send({ tenant: "" }, 1);
    assert.deepEqual(reached(), [0, 1]);
  });

  it("keeps the newest head of each tenant for its sessions", () => {
    const { fan, send } = setUp([OURS]);
    assert.equal(fan.headOf(OURS), 0);
    fan.onHead("", 5, 7);
    fan.onHead("", 4, 7);
    fan.onHead("acme", 9, 7);
    assert.deepEqual([fan.headOf(OURS), fan.headOf({ ...OURS, tenant: "acme" })], [5, 9]);
    send({ tenant: "" }, 6);
    assert.equal(fan.headOf(OURS), 6);
    assert.equal(fan.headOf({ ...OURS, epochMark: 8 }), 0, "a position of another epoch");
    fan.onHead("", 2, 8);
    assert.deepEqual([fan.headOf(OURS), fan.headOf({ ...OURS, epochMark: 8 })], [0, 2], "a database that was restored");
  });

  it("passes over a record that is cut off", () => {
    const { fan, reached } = setUp([OURS]);
    const record = { kind: RecordKind.BROADCAST, cmd: 38, flags: 8, rid: 7, aux: 1 };
    fan.onBroadcast({ ...record, conn: 3, body: Uint8Array.of(1, 0, 0, 0) });
    assert.deepEqual(reached(), []);
  });
});
