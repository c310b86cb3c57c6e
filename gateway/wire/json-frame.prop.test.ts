// SPDX-License-Identifier: Apache-2.0
// Every command, both ways, from values that are made from the schema itself.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type protobuf from "protobufjs";
import { COMMAND_BODIES } from "#proto/command-bodies.ts";
import { Command } from "#proto/commands.ts";
import { root } from "#proto/load.ts";
import { EnvelopeReader } from "./envelope.ts";
import { FrameReader } from "./frame.ts";
import { type Direction, readJsonFrame, showJsonFrame } from "./json-frame.ts";

const u32 = fc.oneof(fc.nat(0xffff_ffff), fc.constantFrom(0, 1, 0xffff_ffff));
const base64 = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString("base64"));
const SCALARS: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  uint32: u32,
  uint64: fc.maxSafeNat().map(String),
  int64: fc.maxSafeInteger().map(String),
  string: fc.string({ unit: "grapheme", maxLength: 40 }),
  bytes: base64,
  bool: fc.boolean(),
};

/** Bodies of one message, with every field. */
function bodyArb(type: protobuf.Type): fc.Arbitrary<Record<string, unknown>> {
  const fields = type.fieldsArray.map((field) => {
    field.resolve();
    const inner = field.resolvedType as protobuf.Type | null;
    const one = inner ? bodyArb(inner) : SCALARS[field.type];
    assert.ok(one, field.fullName);
    const value = field.repeated ? fc.array(one, { maxLength: 4 }) : inner ? fc.option(one) : one;
    return [field.name, value] as const;
  });
  return fc.record(Object.fromEntries(fields), { noNullPrototype: true });
}

const CASES = Object.entries(COMMAND_BODIES).flatMap(([cmd, { up, down }]) => [
  ...(up === undefined ? [] : [{ cmd, from: "up" as const, message: up }]),
  ...(down === undefined ? [] : [{ cmd, from: "down" as const, message: down }]),
]);

function frameArb(cmd: string, message: string): fc.Arbitrary<Record<string, unknown>> {
  const body = message === "" ? fc.constant(undefined) : bodyArb(root.lookupType(`im.client.v1.${message}`));
  const head = fc.record({ rid: u32, flags: u32, trace: base64, lease: base64 });
  return fc.tuple(head, body).map(([fields, value]) => ({
    cmd,
    // As they are shown: without defaults.
    ...Object.fromEntries(Object.entries(fields).filter(([, field]) => field !== 0 && field !== "")),
    ...(value ? { body: value } : {}),
  }));
}

/** The envelope of one frame with its length. */
function envelopeOf(frame: Buffer): Buffer {
  const envelopes: Buffer[] = [];
  const reader = new FrameReader(512 * 1024);
  const fault = reader.push(frame, {
    onFrame(buffer, start, end) {
      envelopes.push(buffer.subarray(start, end));
      return true;
    },
  });
  assert.equal(fault, undefined);
  assert.ok(reader.isAtBoundary && envelopes.length === 1);
  return envelopes[0] as Buffer;
}

function frameOf(value: unknown, from: Direction): Buffer {
  const frame = readJsonFrame(Buffer.from(JSON.stringify(value)), from);
  assert.ok(frame.kind === "frame", JSON.stringify([value, frame]));
  return frame.bytes;
}

describe("JSON to frame and back", () => {
  for (const { cmd, from, message } of CASES) {
    it(`${cmd} of ${from === "up" ? "a client" : "a server"}: nothing changes`, () => {
      fc.assert(
        fc.property(frameArb(cmd, message), (value) => {
          const frame = frameOf(value, from);
          const envelope = envelopeOf(frame);
          assert.deepEqual(JSON.parse(showJsonFrame(envelope, from)), value);
          const reader = new EnvelopeReader();
          assert.ok(reader.read(envelope, 0, envelope.length));
          assert.deepEqual(
            [reader.cmd, reader.rid, reader.flags],
            [Command[cmd as keyof typeof Command], value.rid ?? 0, value.flags ?? 0],
          );
          const textBytes = Buffer.byteLength(JSON.stringify(value));
          assert.ok(frame.length <= textBytes, "limits of frames hold for what they are made of");
        }),
      );
    });
  }

  it("the bytes are the ones of protobufjs, and numbers are as good as strings", () => {
    const type = root.lookupType("im.client.v1.Hello");
    fc.assert(
      fc.property(bodyArb(type), (body) => {
        const cursor = Number(body.inboxCursor);
        const asNumber = { ...body, inboxCursor: cursor, clientTimeMs: Number(body.clientTimeMs) };
        const frame = frameOf({ cmd: "HELLO", body: asNumber }, "up");
        assert.deepEqual(frame, frameOf({ cmd: "HELLO", body }, "up"));
        const reader = new EnvelopeReader();
        const envelope = envelopeOf(frame);
        reader.read(envelope, 0, envelope.length);
        const decoded = type.toObject(type.decode(reader.body), { longs: String, bytes: String, defaults: true });
        assert.deepEqual({ ...decoded, caps: decoded.caps ?? [] }, body);
      }),
    );
  });

  it("commands of products and tenants pass as they are", () => {
    const others = fc.nat(0xffff_ffff).filter((cmd) => cmd > 0 && !Object.values<number>(Command).includes(cmd));
    fc.assert(
      fc.property(others, u32, base64, (cmd, rid, body) => {
        const value = { cmd, ...(rid === 0 ? {} : { rid }), ...(body === "" ? {} : { body }) };
        assert.deepEqual(JSON.parse(showJsonFrame(envelopeOf(frameOf(value, "up")), "up")), value);
      }),
    );
  });
});

describe("JSON that is not what it should be", () => {
  const sample = fc.constantFrom(...CASES).chain(({ cmd, message }) => frameArb(cmd, message));
  /** Anything a client may write in place of one part. */
  const anything = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.string(), fc.double(), fc.constantFrom(null, [], {}, -1));

  function assertVerdict(text: Buffer): void {
    const frame = readJsonFrame(text);
    if (frame.kind === "frame") {
      const envelope = envelopeOf(frame.bytes);
      // Whatever was taken, is taken again.
      const again = readJsonFrame(Buffer.from(showJsonFrame(envelope, "up")));
      assert.deepEqual(again, frame);
      return;
    }
    assert.match(frame.reason, /^[\x20-\x7e]{8,120}$/);
    assert.ok(frame.kind === "bad" ? frame.code >= 4500 : frame.code < 100 && frame.rid >= 0);
  }

  it("any bytes get a verdict", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => assertVerdict(Buffer.from(bytes))));
  });

  it("any JSON gets a verdict", () => {
    fc.assert(fc.property(fc.json(), (text) => assertVerdict(Buffer.from(text))));
  });

  it("frames with any part replaced, added or dropped get a verdict", () => {
    const edit = fc.tuple(fc.nat(), fc.constantFrom("set", "drop", "add"), anything, fc.string());
    fc.assert(
      fc.property(sample, fc.array(edit, { minLength: 1, maxLength: 3 }), (value, edits) => {
        const mutated = structuredClone(value);
        for (const [at, what, replacement, name] of edits) {
          const inBody = at % 2 === 1 && typeof mutated.body === "object" && mutated.body !== null;
          const target = inBody ? (mutated.body as Record<string, unknown>) : mutated;
          const keys = Object.keys(target);
          const key = what === "add" ? name : (keys[at % Math.max(1, keys.length)] ?? name);
          if (what === "drop") delete target[key];
          else Object.defineProperty(target, key, { value: replacement, enumerable: true, configurable: true });
        }
        assertVerdict(Buffer.from(JSON.stringify(mutated)));
      }),
      { numRuns: 500 },
    );
  });

  it("frames with bytes flipped, cut or doubled get a verdict", () => {
    const flip = fc.tuple(fc.nat(), fc.nat(255), fc.constantFrom("set", "cut", "double"));
    fc.assert(
      fc.property(sample, fc.array(flip, { minLength: 1, maxLength: 4 }), (value, flips) => {
        let text = Buffer.from(JSON.stringify(value));
        for (const [place, byte, what] of flips) {
          const at = place % Math.max(1, text.length);
          if (what === "set") text[at] = byte;
          else if (what === "cut") text = text.subarray(0, at);
          else text = Buffer.concat([text.subarray(0, at), text]);
        }
        assertVerdict(text);
      }),
      { numRuns: 500 },
    );
  });
});
