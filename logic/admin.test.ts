// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ErrorCode } from "#lib/errors.ts";
import { callAdmin, parseCommand } from "./admin.ts";

describe("admin command", () => {
  it("turns words into a call", () => {
    assert.deepEqual(parseCommand(["revoke-user", "alice"]), { method: "RevokeUser", request: { userId: "alice" } });
    assert.deepEqual(parseCommand(["revoke-token", "j"]), { method: "RevokeToken", request: { tokenId: "j" } });
    const ofTenant = { method: "RevokeToken", request: { tokenId: "\u0001acme\u0001j" } };
    assert.deepEqual(parseCommand(["revoke-token", "j", "acme"]), ofTenant);
    const kick = { userId: "alice", slot: "mobile", reason: "spam and more" };
    assert.deepEqual(parseCommand(["kick", "alice", "mobile", "spam and more"]), { method: "KickUser", request: kick });
    assert.deepEqual(parseCommand(["kick", "alice"]).request, { userId: "alice", slot: "", reason: "" });
    assert.deepEqual(parseCommand(["presence", "a", "b"]), { method: "Presence", request: { userIds: ["a", "b"] } });
    const inspect = { service: "LogicInspect" };
    assert.deepEqual(parseCommand(["locate", "a"]), { ...inspect, method: "Locate", request: { userId: "a" } });
    const asked = { userId: "a", message: "m-1" };
    assert.deepEqual(parseCommand(["trace", "a", "m-1"]), { ...inspect, method: "Trace", request: asked });
  });

  it("says how it is used", () => {
    const wrong = [
      [],
      ["help"],
      ["revoke-user"],
      ["revoke-user", "a", "b"],
      ["revoke-token", ""],
      ["revoke-token", "j", "Not a tenant"],
      ["presence"],
    ];
    const inspect = [["locate"], ["locate", "a", "b"], ["trace", "a"], ["trace", "a", "b", "c"]];
    for (const words of [...wrong, ...inspect, ["kick"], ["kick", "a", "b", "c", "d"]])
      assert.throws(() => parseCommand(words), { code: ErrorCode.BAD_REQUEST, message: /usage/ });
  });

  it("reports a logic that is away", async () => {
    const call = parseCommand(["presence", "alice"]);
    await assert.rejects(callAdmin(call, { IM_ADMIN_TARGET: "127.0.0.1:1" }), { code: ErrorCode.RETRYABLE });
  });
});
