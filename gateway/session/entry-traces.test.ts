// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { FakeTracer } from "#lib/tracing/fake-tracer.ts";
import { readTraceContext, writeTraceContext } from "#lib/tracing/trace-context.ts";
import { Command } from "#proto/commands.ts";
import { type RecordInput, RecordKind } from "#proto/uplink/record.ts";
import { EntryTraces } from "./entry-traces.ts";
import type { LogicPort } from "./uplink-port.ts";

const CONTEXT = { traceId: "a".repeat(32), spanId: "b".repeat(16) };

function setUp() {
  const clock = new FakeClock();
  const tracer = new FakeTracer();
  const written: (() => void)[] = [];
  const traces = new EntryTraces({ tracer, clock, afterWrites: (fn) => written.push(fn) });
  const sent: RecordInput[] = [];
  const logic: LogicPort = {
    ...{ name: "logic", isUsable: true, load: 0 },
    send: (record) => sent.push(record) > 0,
    sendControl: (record) => void sent.push(record),
  };
  const announce = (conn: number, aux: number, body = writeTraceContext(CONTEXT)): void =>
    traces.announced({ kind: RecordKind.TRACED, cmd: 0, flags: 0, conn, rid: 0, aux, body });
  return { clock, tracer, traces, sent, logic, announce, flush: () => written.splice(0).forEach((fn) => void fn()) };
}

describe("traces of an entry", () => {
  it("begin with a message and end with its answer", () => {
    const { tracer, traces, sent, logic } = setUp();
    traces.begin(logic, 7, 3, 120);
    const [record] = sent;
    assert.deepEqual([record?.kind, record?.conn, record?.rid], [RecordKind.TRACE, 7, 3]);
    assert.deepEqual(readTraceContext(record?.body ?? new Uint8Array(0)), tracer.spans[0]?.context);
    traces.answered(7, 2, Command.SEND_ACK);
    traces.answered(8, 3, Command.SEND_ACK);
    assert.deepEqual(tracer.ended, []);
    traces.answered(7, 3, Command.SEND_ACK);
    assert.deepEqual(tracer.ended, ["send"]);
    assert.deepEqual(tracer.spans[0]?.facts, { "messaging.message.body.size": 120 });
  });

  it("end when the message is refused, its connection closes, or nobody answers", () => {
    const { clock, tracer, traces, logic } = setUp();
    traces.begin(logic, 1, 1, 0);
    traces.answered(1, 1, Command.ERROR);
    traces.begin(logic, 2, 1, 0);
    traces.closed(2);
    traces.begin(logic, 3, 1, 0);
    traces.begin(logic, 3, 2, 0);
    assert.equal(tracer.spans.length, 3);
    clock.advance(60_001);
    traces.begin(logic, 3, 2, 0);
    assert.equal(tracer.spans.length, 4);
    assert.deepEqual(tracer.ended, ["send refused", "send closed", "send no answer"]);
  });

  it("are of messages that want an answer, as the tracer samples them, and 256 at a time", () => {
    const { tracer, traces, sent, logic } = setUp();
    traces.begin(logic, 1, 0, 0);
    assert.equal(tracer.spans.length, 0);
    for (let conn = 0; conn < 300; conn++) traces.begin(logic, conn, 1, 0);
    assert.deepEqual([tracer.spans.length, sent.length], [256, 256]);
    const other = setUp();
    other.tracer.samples = false;
    other.traces.begin(other.logic, 1, 1, 0);
    assert.deepEqual([other.tracer.spans.length, other.sent.length], [0, 0]);
  });

  it("come back with a delivery, and go on with each acknowledgement that may be meant", () => {
    const { tracer, traces, sent, logic, announce, flush } = setUp();
    announce(7, 41);
    traces.delivered(7, 40, true);
    assert.equal(tracer.spans.length, 0);
    traces.delivered(7, 41, true);
    assert.deepEqual([tracer.spans[0]?.stage, tracer.spans[0]?.parent, tracer.ended], ["deliver", CONTEXT, []]);
    flush();
    assert.deepEqual(tracer.ended, ["deliver"]);
    traces.acknowledging(logic, 8, 0);
    assert.equal(sent.length, 0);
    for (let ack = 0; ack < 10; ack++) traces.acknowledging(logic, 7, 0);
    assert.equal(sent.length, 4);
    assert.deepEqual([sent[0]?.kind, sent[0]?.conn, sent[0]?.aux], [RecordKind.TRACE, 7, 41]);
    assert.deepEqual(readTraceContext(sent[0]?.body ?? new Uint8Array(0)), tracer.spans[0]?.context);
  });

  it("of a client that is gone say so, and what is malformed is none", () => {
    const { tracer, traces, sent, logic, announce } = setUp();
    announce(7, 41);
    traces.delivered(7, 41, false);
    assert.deepEqual(tracer.ended, ["deliver unreachable"]);
    announce(7, 42, new Uint8Array(5));
    traces.delivered(7, 42, true);
    announce(7, 43);
    traces.delivered(7, 43, true);
    traces.closed(7);
    traces.acknowledging(logic, 7, 0);
    assert.deepEqual([tracer.spans.length, sent.length], [2, 0]);
  });

  it("are bounded, whatever a peer says", () => {
    const { tracer, traces, sent, logic, announce } = setUp();
    for (let seq = 1; seq <= 1000; seq++) announce(1, seq);
    for (let seq = 1; seq <= 1000; seq++) traces.delivered(1, seq, true);
    assert.ok(tracer.spans.length <= 64);
    traces.acknowledging(logic, 1, 0);
    assert.equal(sent.length, 8);
  });
});
