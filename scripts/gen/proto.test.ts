// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import protobuf from "protobufjs";
import { root } from "#proto/load.ts";
import { messageSource, messagesSource, messageTypes } from "./proto.ts";

describe("generated message types", () => {
  it("maps scalars, repeated and message fields", () => {
    const parsed = protobuf.parse(
      'syntax = "proto3"; package t; message Inner { string a = 1; } message M { uint64 big_number = 1; bytes raw = 2; bool on = 3; repeated Inner inners = 4; Inner inner = 5; }',
    ).root;
    const source = messageSource(parsed.lookupType("t.M"));
    assert.deepEqual(source.split("\n"), [
      "export interface M {",
      "  bigNumber: number;",
      "  raw: Uint8Array;",
      "  on: boolean;",
      "  inners: Inner[];",
      "  inner: Inner | null;",
      "}",
      'export const M: BodyCodec<M> = bodyCodec("t.M");',
    ]);
  });

  it("has one codec per message and is current", () => {
    const source = messagesSource();
    for (const type of messageTypes(root))
      assert.ok(source.includes(`bodyCodec("${type.fullName.slice(1)}")`), type.fullName);
    assert.equal(readFileSync(new URL("../../proto/gen/messages.ts", import.meta.url), "utf8"), source);
  });
});
