// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Command } from "#proto/commands.ts";
import { Envelope, Push, PushAck, Send, SendAck } from "#proto/gen/messages.ts";
import { FrameReader, frameOf, pushAckFrame, readAckedSeq, readPush, sendFrame } from "./wire.ts";

interface Frame {
  cmd: number;
  rid: number;
  body: Buffer;
}

function read(stream: Buffer, chunkBytes = stream.length): Frame[] {
  const frames: Frame[] = [];
  const reader = new FrameReader({ frame: (cmd, rid, body) => frames.push({ cmd, rid, body: Buffer.from(body) }) });
  for (let at = 0; at < stream.length; at += chunkBytes) reader.push(stream.subarray(at, at + chunkBytes));
  return frames;
}

describe("bench wire", () => {
  it("writes what the schema reads", () => {
    const frame = sendFrame(7, "user1", "c-1", Buffer.alloc(200, 1));
    const envelope = Envelope.decode(frame.subarray(2));
    assert.equal(envelope.cmd, Command.SEND);
    assert.equal(envelope.rid, 7);
    const body = Send.decode(envelope.body);
    assert.deepEqual([body.to, body.clientMessageId, body.content.length], ["user1", "c-1", 200]);
    const ack = Envelope.decode(pushAckFrame(2 ** 40 + 1).subarray(1));
    assert.equal(ack.cmd, Command.PUSH_ACK);
    assert.equal(PushAck.decode(ack.body).inboxSeq, 2 ** 40 + 1);
  });

  it("reads frames cut anywhere", () => {
    const part = fc.record(
      { cmd: fc.integer({ min: 1, max: 255 }), rid: fc.nat(1 << 30), body: fc.uint8Array({ maxLength: 300 }) },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), fc.integer({ min: 1, max: 40 }), (parts, chunkBytes) => {
        const stream = Buffer.concat(parts.map(({ cmd, rid, body }) => frameOf(cmd, rid, body)));
        assert.deepEqual(
          read(stream, chunkBytes),
          parts.map(({ cmd, rid, body }) => ({ cmd, rid, body: Buffer.from(body) })),
        );
      }),
    );
  });

  it("reads the position out of an acknowledgement", () => {
    const ack = { clientMessageId: "c", messageId: "m", conversationId: "c_1", convSeq: 7, inboxSeq: 2 ** 35 };
    assert.equal(readAckedSeq(Buffer.from(SendAck.encode({ ...ack, sentAtMs: 5, duplicate: true }))), 2 ** 35);
  });

  it("reads the events of a push as the schema writes them", () => {
    const events = [1, 300, 2 ** 33].map((inboxSeq) => ({
      inboxSeq,
      conversationId: "c_1",
      convSeq: 5,
      messageId: "m",
      sender: "s",
      sentAtMs: 1_700_000_000_000,
      clientMessageId: "x",
      contentType: "",
      content: Buffer.from(`body ${inboxSeq}`),
    }));
    const seen: [number, string][] = [];
    readPush(Buffer.from(Push.encode({ events })), (seq, content) => seen.push([seq, content.toString()]));
    assert.deepEqual(
      seen,
      events.map((event) => [event.inboxSeq, event.content.toString()]),
    );
  });
});
