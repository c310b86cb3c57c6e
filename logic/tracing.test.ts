// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { FakeTracer } from "#lib/tracing/fake-tracer.ts";
import { readTraceContext, type TraceContext, writeTraceContext } from "#lib/tracing/trace-context.ts";
import { Command } from "#proto/commands.ts";
import { PushAck, Send } from "#proto/gen/messages.ts";
import { type RecordInput, RecordKind } from "#proto/uplink/record.ts";
import { MemoryStore } from "./store/memory.ts";
import { startTwoLogics } from "./two-logics-kit.ts";

const OF_ENTRY: TraceContext = { traceId: "a".repeat(32), spanId: "b".repeat(16) };
const UNDER = writeTraceContext(OF_ENTRY);

/** Alice and bob on one entry, of a logic that traces, or does not. */
async function setUp(tracer?: FakeTracer) {
  const store = new MemoryStore();
  const { toFirst: entry, close } = await startTwoLogics(new FakeClock(), [store, store], tracer);
  await entry.login(1, "alice", { deviceId: "a" });
  await entry.login(2, "bob", { deviceId: "b" });
  const trace = (more: Partial<RecordInput>): RecordInput => ({ kind: RecordKind.TRACE, body: UNDER, ...more });
  const sendOf = (rid: number, id = `m${rid}`): RecordInput => {
    const body = Send.encode({ to: "bob", clientMessageId: id, content: new Uint8Array(1) });
    return { kind: RecordKind.COMMAND, cmd: Command.SEND, conn: 1, rid, body };
  };
  const ack = (inboxSeq: number): RecordInput => ({
    ...{ kind: RecordKind.COMMAND, cmd: Command.PUSH_ACK, conn: 2 },
    body: PushAck.encode({ inboxSeq }),
  });
  /** Waits until logic has read what was sent before. */
  const read = async (): Promise<void> => {
    entry.send({ kind: RecordKind.COMMAND, cmd: 255, conn: 1, rid: 999_999 });
    await entry.next(RecordKind.REPLY, { conn: 1, rid: 999_999 });
  };
  return { entry, close, trace, sendOf, ack, read };
}

describe("a traced message in logic", () => {
  it("has spans under that of its entry, and its delivery says that it is traced", async () => {
    const tracer = new FakeTracer();
    const { entry, close, trace, sendOf } = await setUp(tracer);
    entry.send(trace({ conn: 1, rid: 50 }), sendOf(50));
    await entry.next(RecordKind.REPLY, { conn: 1, rid: 50 });
    const traced = await entry.next(RecordKind.TRACED, { conn: 2, aux: 1 });
    assert.equal((await entry.delivered(2)).inboxSeq, 1);
    const [process, store, route] = tracer.spans;
    assert.deepEqual(
      tracer.spans.map(({ stage, parent }) => [stage, parent?.spanId]),
      [
        ["process", OF_ENTRY.spanId],
        ["store", process?.context.spanId],
        ["route", process?.context.spanId],
      ],
    );
    assert.deepEqual(readTraceContext(traced.body), route?.context);
    assert.deepEqual(tracer.ended.sort(), ["process", "route", "store"]);
    assert.ok(store);
    assert.deepEqual(Object.keys(process?.facts ?? {}), ["im.result", "messaging.message.id"]);
    assert.deepEqual(Object.keys(route?.facts ?? {}), ["messaging.message.id", "im.recipients"]);
    close();
  });

  it("is not taken for another one: only the COMMAND that follows, of the same conn and rid, is traced", async () => {
    const tracer = new FakeTracer();
    const { entry, close, trace, sendOf } = await setUp(tracer);
    entry.send(trace({ conn: 1, rid: 8 }), sendOf(9), sendOf(8), trace({ conn: 2, rid: 10 }), sendOf(10));
    entry.send(trace({ conn: 1, rid: 11, body: new Uint8Array(3) }), sendOf(11));
    for (const rid of [8, 9, 10, 11]) await entry.next(RecordKind.REPLY, { conn: 1, rid });
    assert.deepEqual(tracer.spans, []);
    close();
  });

  it("is over with the first acknowledgement that covers it", async () => {
    const tracer = new FakeTracer();
    const { entry, close, trace, sendOf, ack, read } = await setUp(tracer);
    entry.send(sendOf(1), sendOf(2), sendOf(3));
    for (const rid of [1, 2, 3]) await entry.next(RecordKind.REPLY, { conn: 1, rid });
    entry.send(trace({ conn: 2, aux: 2 }), ack(1));
    await read();
    assert.deepEqual(tracer.ended, []);
    entry.send(trace({ conn: 2, aux: 2 }), trace({ conn: 2, aux: 3 }), ack(3), trace({ conn: 2, aux: 3 }), ack(3));
    await read();
    assert.deepEqual(tracer.ended, ["settle", "settle"]);
    assert.deepEqual(tracer.spans[0]?.parent, OF_ENTRY);
    close();
  });

  it("says what went wrong", async () => {
    const tracer = new FakeTracer();
    const { entry, close, trace, sendOf } = await setUp(tracer);
    entry.send(sendOf(20, "same"));
    await entry.next(RecordKind.REPLY, { conn: 1, rid: 20 });
    entry.send(trace({ conn: 1, rid: 21 }), sendOf(21, "same"));
    await entry.next(RecordKind.REPLY, { conn: 1, rid: 21 });
    assert.deepEqual(tracer.ended, ["store", "process"]);
    assert.equal(tracer.spans[0]?.facts["im.result"], "duplicate");
    close();
  });

  it("is an ordinary one to a logic that does not trace, as to one that knows no such record", async () => {
    const { entry, close, trace, sendOf, ack, read } = await setUp();
    entry.send(trace({ conn: 1, rid: 5 }), sendOf(5), trace({ conn: 2, aux: 1 }), ack(1));
    entry.send({ kind: 31 as RecordKind, conn: 1, rid: 6, body: UNDER }, sendOf(6));
    for (const rid of [5, 6])
      assert.equal((await entry.next(RecordKind.REPLY, { conn: 1, rid })).cmd, Command.SEND_ACK);
    await read();
    assert.equal((await entry.delivered(2)).inboxSeq, 1);
    assert.deepEqual(entry.waiting(RecordKind.TRACED), []);
    close();
  });
});
