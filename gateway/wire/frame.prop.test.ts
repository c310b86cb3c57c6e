// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { DisconnectCode } from "#lib/codes.ts";
import { encodeFrame } from "./envelope.ts";
import { FrameReader } from "./frame.ts";
import { type DecodedFrame, decodeAll } from "./frame-test-kit.ts";

const frameArb = fc.record(
  {
    cmd: fc.integer({ min: 1, max: 300 }),
    rid: fc.nat(0xffffffff),
    flags: fc.nat(63),
    body: fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes).toString("hex")),
  },
  { noNullPrototype: true },
);

const encode = (frame: DecodedFrame): Buffer =>
  encodeFrame(frame.cmd, frame.rid, frame.flags, Buffer.from(frame.body, "hex"));

/** Cuts `bytes` at the given places, in any order, any number of times. */
function cutAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  const chunks: Buffer[] = [];
  let from = 0;
  for (const to of [...places, bytes.length]) {
    chunks.push(Buffer.from(bytes.subarray(from, to)));
    from = to;
  }
  return chunks;
}

describe("FrameReader", () => {
  it("finds the same frames however the stream is cut", () => {
    fc.assert(
      fc.property(fc.array(frameArb, { maxLength: 12 }), fc.array(fc.nat(5000), { maxLength: 40 }), (frames, cuts) => {
        const stream = Buffer.concat(frames.map(encode));
        const result = decodeAll(cutAt(stream, cuts));
        assert.deepEqual(result, { frames, fault: undefined, pendingBytes: 0 });
      }),
    );
  });

  it("gives the same verdict on any bytes, in one piece or byte by byte, and never throws", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const whole = decodeAll([Buffer.from(bytes)], 128);
        const single = decodeAll(
          [...bytes].map((byte) => Buffer.from([byte])),
          128,
        );
        assert.deepEqual(single, whole);
      }),
      { numRuns: 2000 },
    );
  });

  it("survives any mutation of a valid stream", () => {
    const mutation = fc.record({ at: fc.nat(3000), value: fc.nat(255) }, { noNullPrototype: true });
    fc.assert(
      fc.property(
        fc.array(frameArb, { minLength: 1, maxLength: 6 }),
        fc.array(mutation, { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat(3000), { maxLength: 5 }),
        (frames, mutations, cuts) => {
          const stream = Buffer.concat(frames.map(encode));
          for (const { at, value } of mutations) stream[at % stream.length] = value;
          assert.deepEqual(decodeAll(cutAt(stream, cuts)), decodeAll([stream]));
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("takes a frame of exactly the limit and refuses one byte more, before it is there", () => {
    const limit = 70_000;
    const exact = encodeFrame(16, 1, 0, Buffer.alloc(limit - 8));
    assert.equal(exact.length - 3, limit);
    assert.equal(decodeAll([exact], limit).frames.length, 1);
    assert.equal(decodeAll([exact], limit - 1).fault, DisconnectCode.FRAME_TOO_LARGE);
    assert.equal(decodeAll([exact.subarray(0, 3)], limit - 1).fault, DisconnectCode.FRAME_TOO_LARGE);
  });

  it("holds no more than what arrived of a frame that was only announced", () => {
    const reader = new FrameReader(256 * 1024);
    const announced = Buffer.from([0x80, 0x80, 0x10, 0x08]);
    const sink = { onFrame: () => assert.fail("no frame yet") };
    assert.equal(reader.push(announced, sink), undefined);
    assert.equal(reader.pendingBytes, 4);
    assert.equal(reader.isAtBoundary, false);
    reader.reset();
    assert.equal(reader.isAtBoundary, true);
  });

  it("stops when the sink says so", () => {
    const reader = new FrameReader(1000);
    let count = 0;
    const two = Buffer.concat([encodeFrame(3, 1, 0), encodeFrame(3, 2, 0)]);
    reader.push(two, {
      onFrame: () => {
        count++;
        return false;
      },
    });
    assert.equal(count, 1);
  });
});
