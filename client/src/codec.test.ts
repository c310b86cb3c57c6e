// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { MODEL_CODECS } from "../test/model-codecs.ts";
import { usedFields } from "../test/unused-fields.ts";
import * as codec from "./codec.ts";
import { ImClientError } from "./errors.ts";
import { encodeFrame, FrameSplitter } from "./frame.ts";
import * as presenceCodec from "./presence-codec.ts";

interface FrameVector {
  name: string;
  cmd: number;
  rid: number;
  flags: number;
  body: string;
  frame: string;
}
interface Vectors {
  frames: FrameVector[];
  decodeOnly: FrameVector[];
  invalid: { name: string; bytes: string; code: number }[];
  bodies: { message: string; fields: Record<string, unknown>; hex: string }[];
}

const vectors: Vectors = JSON.parse(
  readFileSync(new URL("../../proto/testdata/frames.json", import.meta.url), "utf8"),
) as Vectors;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));

function decodeAll(bytes: Uint8Array): { cmd: number; rid: number; flags: number; body: string }[] {
  return new FrameSplitter().push(bytes).map(({ cmd, rid, flags, body }) => ({ cmd, rid, flags, body: hex(body) }));
}

/** `{ hex }` back to bytes, at any depth. */
function revive(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revive);
  if (value === null || typeof value !== "object") return value;
  if ("hex" in value && typeof value.hex === "string") return bytesOf(value.hex);
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, revive(field)]));
}

type AnyMessage = codec.Codec<Record<string, unknown>>;
const messages = { ...codec, ...presenceCodec, ...MODEL_CODECS } as unknown as Record<string, AnyMessage>;

describe("golden vectors", () => {
  for (const { name, frame, ...fields } of vectors.frames) {
    it(`encodes and decodes: ${name}`, () => {
      const { cmd, rid, flags, body } = fields;
      assert.equal(hex(encodeFrame({ cmd, rid, flags, body: bytesOf(body) })), frame);
      assert.deepEqual(decodeAll(bytesOf(frame)), [fields]);
    });
  }
  for (const { name, frame, ...fields } of vectors.decodeOnly) {
    it(`decodes: ${name}`, () => assert.deepEqual(decodeAll(bytesOf(frame)), [fields]));
  }
  for (const { name, bytes, code } of vectors.invalid) {
    it(`refuses with ${code}: ${name}`, () =>
      assert.throws(
        () => decodeAll(bytesOf(bytes)),
        (error) => error instanceof ImClientError && error.code === code,
      ));
  }
  for (const [i, { message, fields, hex: expected }] of vectors.bodies.entries()) {
    it(`body ${i}: ${message}`, () => {
      const known = messages[message];
      assert.ok(known, `no codec for ${message}`);
      const decoded = known.decode(bytesOf(expected));
      const given = revive(fields) as Record<string, unknown>;
      const used = usedFields(message, given);
      for (const [key, value] of Object.entries(used)) assertField(decoded[key], value, key);
      const encoded = known.encode(used);
      if (isDeepStrictEqual(used, given)) assert.equal(hex(encoded), expected);
      else assert.deepEqual(known.decode(encoded), decoded);
    });
  }
});

/** Every field named by the vector is there; fields it leaves out are defaults. */
function assertField(actual: unknown, expected: unknown, path: string): void {
  if (Array.isArray(expected)) {
    assert.ok(Array.isArray(actual) && actual.length === expected.length, path);
    for (const [i, item] of expected.entries()) assertField(actual[i], item, `${path}[${i}]`);
  } else if (expected instanceof Uint8Array) {
    assert.equal(hex(actual as Uint8Array), hex(expected), path);
  } else if (expected !== null && typeof expected === "object") {
    for (const [key, value] of Object.entries(expected)) {
      assertField((actual as Record<string, unknown>)[key], value, `${path}.${key}`);
    }
  } else {
    assert.equal(actual, expected, path);
  }
}

describe("text", () => {
  it("keeps a leading byte order mark and lone surrogates become U+FFFD", () => {
    const { sender } = codec.Event.decode(codec.Event.encode({ sender: "\uFEFFa\uD800" }));
    assert.equal(sender, "\uFEFFa\uFFFD");
  });
});
