// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ServerUplink } from "#lib/grpc.ts";
import { Command, Flag } from "#proto/commands.ts";
import { RecordKind, readRecords } from "#proto/uplink/record.ts";
import { unreadMetrics } from "../metrics.ts";
import { EntryStream } from "./entry-stream.ts";

const MIB = 1024 * 1024;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function setUp() {
  const writes: Buffer[] = [];
  const state = { isOpen: true, takes: true, drain: (): void => undefined };
  const uplink: ServerUplink = {
    peer: "test",
    write: (batch) => {
      writes.push(batch);
      return state.takes;
    },
    onDrain: (fn) => {
      state.drain = fn;
    },
    onBatch: () => undefined,
    onClose: () => undefined,
    close: () => {
      state.isOpen = false;
    },
  };
  const stream = new EntryStream({ uplink, defer: setImmediate, metrics: unreadMetrics() });
  return { writes, state, stream };
}

function counts(writes: readonly Buffer[]): number[] {
  return writes.map((batch) => {
    let count = 0;
    readRecords(batch, () => count++);
    return count;
  });
}

describe("entry stream", () => {
  it("writes once per tick", async () => {
    const { writes, stream } = setUp();
    for (let at = 0; at < 5; at++) stream.send({ kind: RecordKind.HEAD, conn: at });
    await turn();
    stream.send({ kind: RecordKind.HEAD, conn: 9 });
    await turn();
    assert.deepEqual(counts(writes), [5, 1]);
  });

  it("knows the round trips that its entry told, until it takes them back", () => {
    const { stream } = setUp();
    assert.equal(stream.roundTripMs(7), 0);
    stream.noteRoundTrip(7, 300);
    stream.noteRoundTrip(8, 900);
    stream.noteRoundTrip(7, 450);
    assert.deepEqual([stream.roundTripMs(7), stream.roundTripMs(8)], [450, 900]);
    stream.noteRoundTrip(7, 0);
    stream.noteRoundTrip(7, 0);
    assert.deepEqual([stream.roundTripMs(7), stream.roundTripMs(8)], [0, 900]);
  });

  it("waits for the drain, then writes everything at once", async () => {
    const { writes, state, stream } = setUp();
    state.takes = false;
    stream.send({ kind: RecordKind.HEAD, conn: 1 });
    await turn();
    for (let at = 0; at < 3; at++) stream.send({ kind: RecordKind.HEAD, conn: at });
    await turn();
    assert.deepEqual(counts(writes), [1]);
    state.takes = true;
    state.drain();
    assert.deepEqual(counts(writes), [1, 3]);
  });

  it("refuses pushes beyond 8 MiB, and ends the stream of an entry that reads nothing at 16 MiB", async () => {
    const { state, stream } = setUp();
    state.takes = false;
    stream.send({ kind: RecordKind.HEAD });
    await turn();
    const body = new Uint8Array(MIB);
    const push = (): boolean => stream.send({ kind: RecordKind.DELIVER, conn: 1, body });
    let taken = 0;
    while (push()) taken++;
    assert.equal(taken, 7);
    assert.equal(stream.send({ kind: RecordKind.REPLY, conn: 1, body }), true, "answers still pass");
    while (stream.send({ kind: RecordKind.REPLY, conn: 1, body })) taken++;
    assert.equal(taken, 14);
    assert.deepEqual([stream.isClosed, state.isOpen], [true, false]);
    assert.equal(stream.send({ kind: RecordKind.HEAD }), false);
  });

  it("refuses what means something only now from 1 MiB on, and nothing else", async () => {
    const { state, stream } = setUp();
    state.takes = false;
    stream.send({ kind: RecordKind.HEAD });
    await turn();
    const body = new Uint8Array(MIB / 4);
    const tell = (flags: number): boolean =>
      stream.send({ kind: RecordKind.REPLY, cmd: Command.PRESENCE, flags, conn: 1, body });
    let taken = 0;
    while (tell(Flag.NO_PERSIST)) taken++;
    assert.equal(taken, 3);
    assert.equal(tell(Flag.REPLY), true);
    assert.equal(stream.send({ kind: RecordKind.DELIVER, conn: 1, body }), true);
    assert.equal(stream.isClosed, false);
  });

  it("writes what waits before it closes", () => {
    const { writes, state, stream } = setUp();
    stream.send({ kind: RecordKind.FENCED });
    stream.close("fenced");
    assert.deepEqual([counts(writes), state.isOpen], [[1], false]);
  });
});
