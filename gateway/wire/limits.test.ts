// SPDX-License-Identifier: Apache-2.0
// Every limit of a frame at one less, exactly, and one more; every form of its length.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import { DisconnectCode } from "#lib/codes.ts";
import { MAX_FRAME_BYTES, MAX_FRAME_BYTES_BEFORE_AUTH } from "#proto/commands.ts";
import { EnvelopeReader } from "./envelope.ts";
import { FrameReader } from "./frame.ts";
import { decodeAll } from "./frame-test-kit.ts";

const { BAD_FRAME, FRAME_TOO_LARGE } = DisconnectCode;

/** `value` as a varint of at least `bytes` bytes. */
function varint(value: number, bytes = 1): Buffer {
  const out: number[] = [];
  for (let rest = value; rest >= 0x80 || out.length + 1 < bytes; rest = Math.floor(rest / 128))
    out.push((rest % 128) | 0x80);
  return Buffer.from([...out, Math.floor(value / 128 ** out.length)]);
}

/** An envelope of exactly `bytes` bytes. */
function envelopeOf(bytes: number): Buffer {
  if (bytes === 1) return Buffer.from([0x08]);
  const head = Buffer.from([0x08, 0x03]);
  if (bytes < 4) return Buffer.concat([head, Buffer.alloc(bytes - 2, 0x08)]);
  for (let lengthBytes = 1; ; lengthBytes++) {
    const length = bytes - head.length - 1 - lengthBytes;
    const prefix = varint(length, lengthBytes);
    if (prefix.length === lengthBytes) return Buffer.concat([head, Buffer.from([0x7a]), prefix, Buffer.alloc(length)]);
  }
}

const frameOf = (bytes: number): Buffer => Buffer.concat([varint(bytes), envelopeOf(bytes)]);
const singly = (bytes: Buffer): Buffer[] => Array.from(bytes, (byte) => Buffer.from([byte]));

describe("frame limits", () => {
  for (const limit of [MAX_FRAME_BYTES_BEFORE_AUTH, MAX_FRAME_BYTES, 127, 128, 129, 16_383, 16_384]) {
    for (const bytes of [limit - 1, limit, limit + 1]) {
      const fault = bytes > limit ? FRAME_TOO_LARGE : undefined;
      it(`${bytes} bytes where ${limit} are allowed: ${fault ?? "read"}`, () => {
        for (const chunks of [[frameOf(bytes)], [frameOf(bytes).subarray(0, 1), frameOf(bytes).subarray(1)]]) {
          const decoded = decodeAll(chunks, limit);
          assert.equal(decoded.fault, fault);
          assert.equal(decoded.frames.length, fault === undefined ? 1 : 0);
          assert.equal(decoded.pendingBytes, 0);
        }
      });
    }
    it(`a claim above ${limit} is refused before any of it came, and costs nothing`, () => {
      const reader = new FrameReader(limit);
      assert.equal(reader.push(varint(limit + 1), { onFrame: () => true }), FRAME_TOO_LARGE);
      assert.equal(reader.pendingBytes, 0);
    });
  }

  it("a claim that is allowed costs what came of it", () => {
    const reader = new FrameReader(MAX_FRAME_BYTES);
    assert.equal(reader.push(varint(MAX_FRAME_BYTES), { onFrame: () => true }), undefined);
    assert.equal(reader.pendingBytes, 3);
  });

  const lengths: [string, Buffer, number | undefined][] = [
    ["2 in one byte", varint(2), undefined],
    ["2 in two bytes", varint(2, 2), undefined],
    ["2 in three bytes", varint(2, 3), undefined],
    ["2 in four bytes", varint(2, 4), undefined],
    ["2 in five bytes", varint(2, 5), BAD_FRAME],
    ["2 in ten bytes", varint(2, 10), BAD_FRAME],
    ["0 in one byte", varint(0), BAD_FRAME],
    ["0 in two bytes", varint(0, 2), BAD_FRAME],
    ["0 in four bytes", varint(0, 4), BAD_FRAME],
    ["the most that four bytes say", varint(0x0fff_ffff), FRAME_TOO_LARGE],
    ["the least that needs five", varint(0x1000_0000), BAD_FRAME],
    ["32 bits", varint(0xffff_ffff), BAD_FRAME],
    ["all ones", Buffer.alloc(11, 0xff), BAD_FRAME],
  ];
  for (const [what, prefix, fault] of lengths) {
    it(`length ${what}: ${fault ?? "read"}, also byte by byte`, () => {
      const bytes = Buffer.concat([prefix, Buffer.from([0x08, 0x03])]);
      for (const chunks of [[bytes], singly(bytes)]) {
        const decoded = decodeAll(chunks);
        assert.equal(decoded.fault, fault);
        if (fault === undefined) assert.deepEqual(decoded.frames[0], { cmd: 3, rid: 0, flags: 0, body: "" });
      }
    });
  }

  const envelopes: [string, string, boolean][] = [
    ["empty", "", true],
    ["cmd alone", "0803", true],
    ["cmd twice: the last counts", "08050803", true],
    ["cmd in two bytes", "088300", true],
    ["cmd in ten bytes", "0883808080808080808000", true],
    ["cmd in eleven bytes", "088380808080808080808000", false],
    ["a tag in two bytes", "880003", true],
    ["cmd without value", "08", false],
    ["cmd that is cut", "0883", false],
    ["field 0", "0003", false],
    ["an unknown varint", "20ff01", true],
    ["an unknown fixed64", "210102030405060708", true],
    ["an unknown fixed64 that is cut", "2101020304050607", false],
    ["an unknown fixed32", "2501020304", true],
    ["an unknown fixed32 that is cut", "25010203", false],
    ["unknown bytes", "22020102", true],
    ["unknown bytes that are cut", "220301", false],
    ["a group", "2324", false],
    ["the end of a group", "24", false],
    ["wire type 6", "26", false],
    ["wire type 7", "27", false],
    ["cmd as bytes: another field, skipped", "0a0103", true],
    ["body as a varint: skipped", "7803", true],
    ["an empty body", "7a00", true],
    ["a body one byte too long", "7a020a", false],
    ["a body of 4 GiB", "7affffffff0f", false],
    ["a length of 64 bits", "7affffffffffffffffff01", false],
    ["the highest field number", "f8ffffff0f01", true],
  ];
  for (const [what, hex, isRead] of envelopes) {
    it(`envelope with ${what}: ${isRead ? "read" : "refused"}`, () => {
      const bytes = Buffer.from(hex, "hex");
      const around = Buffer.concat([Buffer.alloc(3, 0x7a), bytes, Buffer.alloc(3, 0x7a)]);
      assert.equal(new EnvelopeReader().read(around, 3, 3 + bytes.length), isRead);
    });
  }
});
