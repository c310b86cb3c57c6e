// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DisconnectCode, disconnectReason, mayReconnect } from "./codes.ts";

describe("disconnect codes", () => {
  it("are distinct and in WebSocket's private range", () => {
    const codes = Object.values(DisconnectCode);
    assert.equal(new Set(codes).size, codes.length);
    assert.ok(codes.every((code) => code >= 4000 && code <= 4999));
  });

  it("say by their range whether to reconnect", () => {
    const terminal = Object.entries(DisconnectCode)
      .filter(([, code]) => !mayReconnect(code))
      .map(([name]) => name);
    assert.deepEqual(terminal, [
      "BAD_FRAME",
      "FRAME_TOO_LARGE",
      "PROTOCOL_ERROR",
      "VERSION_UNSUPPORTED",
      "TOKEN_INVALID",
      "TOKEN_REVOKED",
      "KICKED",
      "SUPERSEDED",
      "LOGGED_OUT",
      "EVICTED",
    ]);
    assert.equal(mayReconnect(4499), true);
    assert.equal(mayReconnect(4999), false);
    assert.equal(mayReconnect(1006), true);
    assert.equal(mayReconnect(5000), true);
  });

  it("have names for metric labels", () => {
    assert.equal(disconnectReason(DisconnectCode.SLOW_CONSUMER), "slow_consumer");
    assert.equal(disconnectReason(4321), "code_4321");
  });
});
