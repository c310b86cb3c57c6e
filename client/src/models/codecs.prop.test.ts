// SPDX-License-Identifier: Apache-2.0
// The codecs of the models against protobufjs, with values made from the schema: what one writes the other reads.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import protobuf from "protobufjs";
import { bodyCodec, root } from "../../../proto/load.ts";
import { MODEL_CODECS } from "../../test/model-codecs.ts";

const SCALARS: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  uint32: fc.nat({ max: 0xffff_ffff }),
  uint64: fc.maxSafeNat(),
  int64: fc.maxSafeInteger(),
  bool: fc.boolean(),
  string: fc.string({ unit: "grapheme", maxLength: 40 }),
  bytes: fc.uint8Array({ maxLength: 60 }),
};

function arbitraryOf(type: protobuf.Type): fc.Arbitrary<object> {
  const fields = type.fieldsArray.map((field) => {
    field.resolve();
    const one = field.resolvedType instanceof protobuf.Type ? arbitraryOf(field.resolvedType) : SCALARS[field.type];
    assert.ok(one, `${field.fullName} has no arbitrary`);
    const isMessage = field.resolvedType instanceof protobuf.Type && !field.repeated;
    return [field.name, field.repeated ? fc.array(one, { maxLength: 4 }) : isMessage ? fc.option(one) : one] as const;
  });
  return fc.record(Object.fromEntries(fields), { noNullPrototype: true });
}

/** Buffers and views compare as plain bytes. */
const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_, v: unknown) => {
      if (v instanceof Uint8Array) return [...v];
      const isBuffer = typeof v === "object" && v !== null && "type" in v && v.type === "Buffer" && "data" in v;
      return isBuffer ? v.data : v;
    }),
  );

describe("codecs of the models against protobufjs", () => {
  for (const [name, ours] of Object.entries(MODEL_CODECS)) {
    it(name, () => {
      const theirs = bodyCodec<object>(`im.client.v1.${name}`);
      const nothing = new Uint8Array(0);
      const [mine, all] = [ours.decode(nothing), theirs.decode(nothing)].map((value) => Object.keys(value).sort());
      assert.deepEqual(mine, all, "the fields of the schema");
      fc.assert(
        fc.property(arbitraryOf(root.lookupType(`im.client.v1.${name}`)), (value) => {
          assert.deepEqual(plain(ours.decode(theirs.encode(value))), plain(value));
          assert.deepEqual(plain(theirs.decode(ours.encode(value as never))), plain(value));
        }),
        { numRuns: 150 },
      );
    });
  }
});
