// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { PushAck } from "#proto/gen/messages.ts";
import { readPushAck } from "./ack-bytes.ts";

function outcomeOf(read: (bytes: Uint8Array) => number, bytes: Uint8Array): number | "refused" {
  try {
    return read(bytes);
  } catch {
    return "refused";
  }
}

function assertAlike(bytes: Uint8Array): void {
  for (const body of [Uint8Array.from(bytes), Buffer.from(bytes)])
    assert.equal(
      outcomeOf(readPushAck, body),
      outcomeOf((whole) => PushAck.decode(whole).inboxSeq, body),
    );
}

describe("reading a PushAck by hand", () => {
  it("gives what the codec gives, of every position", () => {
    for (const inboxSeq of [0, 1, 127, 128, 2 ** 49 - 1, 2 ** 49, Number.MAX_SAFE_INTEGER])
      assertAlike(PushAck.encode({ inboxSeq }));
    fc.assert(fc.property(fc.maxSafeNat(), (inboxSeq) => assertAlike(PushAck.encode({ inboxSeq }))));
  });

  it("gives what the codec gives of any bytes", () => {
    const byte = fc.oneof(fc.constantFrom(0x08, 0x0a, 0x10, 0x80, 0xff, 0), fc.nat(255));
    const bytes = fc.array(byte, { maxLength: 14 });
    fc.assert(
      fc.property(bytes, fc.boolean(), (rest, isAck) => assertAlike(Uint8Array.from(isAck ? [0x08, ...rest] : rest))),
      { numRuns: 2000 },
    );
  });
});
