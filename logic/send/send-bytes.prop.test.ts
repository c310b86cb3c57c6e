// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Send } from "#proto/gen/messages.ts";
import { readSend } from "./send-bytes.ts";

/** What a reader makes of bytes: the message, or a refusal. */
function outcomeOf(read: (bytes: Uint8Array) => Send, bytes: Uint8Array): unknown {
  try {
    return { ...read(bytes), content: Buffer.from(read(bytes).content).toString("hex") };
  } catch {
    return "refused";
  }
}

function assertAlike(bytes: Uint8Array): void {
  const body = Buffer.from(bytes);
  assert.deepEqual(
    outcomeOf(readSend, body),
    outcomeOf((whole) => Send.decode(whole), body),
  );
}

const text = fc.string({ unit: "binary", maxLength: 200 });
const send = fc.record(
  {
    conversationId: text,
    to: text,
    clientMessageId: text,
    contentType: text,
    content: fc.uint8Array({ maxLength: 300 }),
    subjectType: text,
    subjectId: text,
  },
  { noNullPrototype: true },
);

describe("reading a Send by hand", () => {
  it("gives what the codec gives, of every message", () => {
    fc.assert(fc.property(send, (message) => assertAlike(Send.encode(message))));
  });

  it("gives what the codec gives with a content of any size", () => {
    for (const size of [0, 1, 127, 128, 16_383, 16_384, 65_536, 200_000])
      assertAlike(Send.encode({ to: "bob", clientMessageId: "m", content: Buffer.alloc(size, "x") }));
  });

  it("leaves arrays that are no Buffer to the codec", () => {
    const body = Uint8Array.from(Send.encode({ to: "bob", clientMessageId: "m", content: Uint8Array.of(1) }));
    assert.deepEqual(outcomeOf(readSend, body), {
      ...{ conversationId: "", to: "bob", clientMessageId: "m" },
      ...{ contentType: "", content: "01", subjectType: "", subjectId: "" },
    });
  });

  it("gives what the codec gives of messages joined, cut, and changed in one byte", () => {
    const change = fc.record({ at: fc.nat(), byte: fc.nat(255), cut: fc.nat() });
    fc.assert(
      fc.property(fc.array(send, { minLength: 1, maxLength: 3 }), change, (messages, { at, byte, cut }) => {
        const joined = Buffer.concat(messages.map((message) => Send.encode(message)));
        assertAlike(joined);
        assertAlike(joined.subarray(0, cut % (joined.length + 1)));
        if (joined.length === 0) return;
        joined[at % joined.length] = byte;
        assertAlike(joined);
      }),
      { numRuns: 500 },
    );
  });

  it("gives what the codec gives of bytes that look like fields", () => {
    const byte = fc.oneof(fc.constantFrom(0x0a, 0x12, 0x1a, 0x22, 0x2a, 0x30, 0x3a, 0, 1, 2, 0x80), fc.nat(255));
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 24 }), (bytes) => assertAlike(Uint8Array.from(bytes))),
      { numRuns: 2000 },
    );
  });
});
