// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Envelope } from "#proto/gen/messages.ts";
import { EnvelopeReader, encodeFrame, encodeFrameOf, varintLength, withLease, writeVarint } from "./envelope.ts";

interface Fields {
  cmd: number;
  rid: number;
  flags: number;
  lease: string;
  body: string;
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

function readOurs(bytes: Buffer): Fields | undefined {
  const reader = new EnvelopeReader();
  if (!reader.read(bytes, 0, bytes.length)) return undefined;
  const { cmd, rid, flags, lease, body } = reader;
  return { cmd, rid, flags, lease: hex(lease), body: hex(body) };
}

function readTheirs(bytes: Buffer): Fields | undefined {
  try {
    const { cmd, rid, flags, lease, body } = Envelope.decode(bytes);
    return { cmd, rid, flags, lease: hex(lease), body: hex(body) };
  } catch {
    return undefined;
  }
}

const u32 = fc.nat(0xffffffff);
const envelopeArb = fc.record(
  {
    cmd: u32,
    rid: u32,
    flags: u32,
    trace: fc.uint8Array({ maxLength: 20 }),
    lease: fc.uint8Array({ maxLength: 20 }),
    body: fc.uint8Array({ maxLength: 300 }),
  },
  { noNullPrototype: true },
);

describe("EnvelopeReader against protobufjs", () => {
  it("reads what protobufjs writes", () => {
    fc.assert(
      fc.property(envelopeArb, (envelope) => {
        const { cmd, rid, flags, lease, body } = envelope;
        const expected = { cmd, rid, flags, lease: hex(lease), body: hex(body) };
        assert.deepEqual(readOurs(Buffer.from(Envelope.encode(envelope))), expected);
      }),
    );
  });

  it("what we write, protobufjs reads, and every byte is needed", () => {
    fc.assert(
      fc.property(u32, u32, u32, fc.uint8Array({ maxLength: 300 }), (cmd, rid, flags, body) => {
        const frame = encodeFrame(cmd, rid, flags, body);
        const length = varintLength(frame.length > 128 ? frame.length - 2 : frame.length - 1);
        const envelope = frame.subarray(length);
        assert.deepEqual(readTheirs(envelope), { cmd, rid, flags, lease: "", body: hex(body) });
        const canonical = Envelope.encode({
          ...(cmd && { cmd }),
          ...(rid && { rid }),
          ...(flags && { flags }),
          ...(body.length > 0 && { body }),
        });
        assert.equal(hex(envelope), hex(canonical));
      }),
    );
  });

  it("on mutated bytes: what we take, protobufjs takes with the same meaning", () => {
    const mutation = fc.record({ at: fc.nat(400), value: fc.nat(255) }, { noNullPrototype: true });
    fc.assert(
      fc.property(envelopeArb, fc.array(mutation, { maxLength: 3 }), fc.nat(400), (envelope, mutations, cut) => {
        const bytes = Buffer.from(Envelope.encode(envelope));
        for (const { at, value } of mutations) bytes[at % bytes.length] = value;
        const cutBytes = bytes.subarray(0, bytes.length - (cut % bytes.length));
        const ours = readOurs(cutBytes);
        const theirs = readTheirs(cutBytes);
        // They take groups and wrong wire types of known fields, which we refuse or skip; and they read a tag's
        // low 32 bits as we do. So: equal whenever both take it and no such thing is in it.
        if (ours && theirs && !isOdd(cutBytes)) assert.deepEqual(ours, theirs);
        if (ours && !theirs) assert.ok(isOdd(cutBytes), `only we take ${hex(cutBytes)}`);
      }),
      { numRuns: 3000 },
    );
  });

  it("agrees where protobufjs is strict: a known field of another wire type after an empty one", () => {
    const bytes = Buffer.from("08808080800110808080800118808080800122007805", "hex");
    assert.ok(readOurs(bytes) && !readTheirs(bytes) && isOdd(bytes));
  });

  it("never throws, on any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => void readOurs(Buffer.from(bytes))),
      { numRuns: 5000 },
    );
  });
});

/**
 * Known fields with another wire type, groups, and varints of 6 to 9 bytes (protobufjs takes any beyond 5 for 10):
 * where protobufjs and the specification part.
 */
function isOdd(bytes: Buffer): boolean {
  const known = new Map([
    [1, 0],
    [2, 0],
    [3, 0],
    [4, 2],
    [5, 2],
    [15, 2],
  ]);
  let at = 0;
  const varint = (): number => {
    let value = 0;
    const from = at;
    for (let shift = 0; at < bytes.length; shift += 7) {
      const byte = bytes[at++] ?? 0;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    if (at - from > 5) hasLongVarint = true;
    return value >>> 0;
  };
  let hasLongVarint = false;
  while (at < bytes.length) {
    const tag = varint();
    const wire = known.get(tag >>> 3);
    if (wire !== undefined && wire !== (tag & 7)) return true;
    if ((tag & 7) === 0) varint();
    else if ((tag & 7) === 1) at += 8;
    else if ((tag & 7) === 5) at += 4;
    else if ((tag & 7) === 2) {
      // Not `at += varint()`: that would forget how far reading the length has moved `at`.
      const length = varint();
      at += length;
    } else return true;
  }
  return hasLongVarint;
}

describe("varints", () => {
  it("have the length they are said to have, up to 2^53", () => {
    fc.assert(
      fc.property(fc.oneof(u32, fc.nat(Number.MAX_SAFE_INTEGER)), (value) => {
        const buffer = Buffer.alloc(10);
        const end = writeVarint(buffer, value, 0);
        if (value <= 0xffffffff) assert.equal(end, varintLength(value));
        let read = 0n;
        for (let i = 0; i < end; i++) read |= BigInt((buffer[i] ?? 0) & 0x7f) << BigInt(7 * i);
        assert.equal(read, BigInt(value));
      }),
    );
  });
});

describe("encodeFrameOf", () => {
  it("equals encodeFrame of the joined parts", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 10 }), (parts) => {
        const joined = Buffer.concat(parts);
        assert.deepEqual(encodeFrameOf(18, 0, 0, parts, joined.length), encodeFrame(18, 0, 0, joined));
      }),
    );
  });
});

describe("withLease", () => {
  it("adds a lease to a frame of any size and changes nothing else", () => {
    const sizes = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.constantFrom(16_350, 16_380, 65_536));
    fc.assert(
      fc.property(
        fc.nat(255),
        fc.nat(),
        sizes,
        fc.uint8Array({ minLength: 1, maxLength: 127 }),
        (cmd, rid, size, lease) => {
          const body = Buffer.alloc(size, 3);
          const frame = withLease(encodeFrame(cmd, rid, 1, body), lease);
          const start = [1, 2, 3].find((bytes) => varintLength(frame.length - bytes) === bytes) ?? 4;
          const read = readTheirs(frame.subarray(start));
          assert.deepEqual(read, { cmd, rid, flags: 1, lease: hex(lease), body: hex(body) });
          assert.deepEqual(readOurs(frame.subarray(start)), read);
        },
      ),
    );
  });
});
