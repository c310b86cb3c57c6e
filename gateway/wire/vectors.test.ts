// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { renderVectors, VECTORS_FILE, type Vectors } from "#proto/testdata/vectors.ts";
import { encodeFrame } from "./envelope.ts";
import { type DecodedFrame, decodeAll } from "./frame-test-kit.ts";

const text = readFileSync(VECTORS_FILE, "utf8");
const vectors = JSON.parse(text) as Vectors;

const fieldsOf = (vector: DecodedFrame): DecodedFrame => ({
  cmd: vector.cmd,
  rid: vector.rid,
  flags: vector.flags,
  body: vector.body,
});

describe("golden vectors", () => {
  it("frames.json is current: run node proto/testdata/vectors.ts", () => {
    assert.equal(text, renderVectors());
  });

  for (const vector of vectors.frames) {
    it(`encodes: ${vector.name}`, () => {
      const frame = encodeFrame(vector.cmd, vector.rid, vector.flags, Buffer.from(vector.body, "hex"));
      assert.equal(frame.toString("hex"), vector.frame);
    });
  }

  for (const vector of [...vectors.frames, ...vectors.decodeOnly]) {
    it(`decodes: ${vector.name}`, () => {
      const { frames, fault } = decodeAll([Buffer.from(vector.frame, "hex")]);
      assert.equal(fault, undefined);
      assert.deepEqual(frames, [fieldsOf(vector)]);
    });
  }

  for (const vector of vectors.invalid) {
    it(`refuses: ${vector.name}`, () => {
      const bytes = Buffer.from(vector.bytes, "hex");
      assert.deepEqual(decodeAll([bytes]), { frames: [], fault: vector.code, pendingBytes: 0 });
      const single = [...bytes].map((byte) => Buffer.from([byte]));
      assert.deepEqual(decodeAll(single), { frames: [], fault: vector.code, pendingBytes: 0 });
    });
  }
});
