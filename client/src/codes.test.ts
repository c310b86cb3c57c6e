// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import * as server from "../../lib/codes.ts";
import { ErrorCode } from "../../lib/errors.ts";
import * as wire from "../../proto/commands.ts";
import * as ours from "./codes.ts";
import { ChatCommand } from "./models/chat-commands.ts";

it("the SDK's tables are copies of the servers'", () => {
  assert.deepEqual({ ...ours.Command, ...ChatCommand }, wire.Command);
  assert.deepEqual(ours.Flag, wire.Flag);
  assert.deepEqual(ours.ErrorCode, ErrorCode);
  assert.deepEqual(ours.DisconnectCode, server.DisconnectCode);
  assert.equal(ours.MAX_FRAME_BYTES, wire.MAX_FRAME_BYTES);
  assert.equal(ours.MAX_CONTENT_BYTES, wire.MAX_CONTENT_BYTES);
  assert.equal(ours.MAX_LENGTH_VARINT_BYTES, wire.MAX_LENGTH_VARINT_BYTES);
});

it("agrees with the servers about who may reconnect", () => {
  for (const code of [...Object.values(ours.DisconnectCode), 1000, 1006, 4499, 4500, 4999, 5000]) {
    assert.equal(ours.mayReconnect(code), server.mayReconnect(code), String(code));
  }
});

it("names every code, and no number twice", () => {
  const tables = [ours.ErrorCode, ours.DisconnectCode, ours.ClientCode];
  const codes = tables.flatMap((table) => Object.values<number>(table));
  assert.equal(new Set(codes).size, codes.length);
  assert.equal(ours.codeName(ours.DisconnectCode.KICKED), "KICKED");
  assert.equal(ours.codeName(4321), "CODE_4321");
});
