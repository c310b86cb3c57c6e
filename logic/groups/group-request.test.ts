// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ErrorCode } from "#lib/errors.ts";
import { Group } from "#proto/gen/messages.ts";
import { type GroupRequest, MAX_GROUP_NAME_CHARS, MAX_GROUP_USERS, readGroupRequest } from "./group-request.ts";

const read = (group: Partial<Group>) => readGroupRequest("alice", Group.encode(group));
const CHANGE = { requestId: "r-1", conversationId: "g_1" };

function reasonOf(group: Partial<Group>): string {
  const refusal = read(group);
  assert.ok("code" in refusal, JSON.stringify(refusal));
  assert.equal(refusal.code, ErrorCode.BAD_REQUEST);
  return refusal.reason;
}

describe("a request of GROUP", () => {
  it("is read", () => {
    const rows: [Partial<Group>, GroupRequest][] = [
      [
        { requestId: "r", create: { name: "n", userIds: ["b", "a", "b"], fromStart: true } },
        { kind: "create", requestId: "r", name: "n", userIds: ["a", "b"], fromStart: true },
      ],
      [
        { requestId: "r", create: { name: "", userIds: [], fromStart: false } },
        { kind: "create", requestId: "r", name: "", userIds: [], fromStart: false },
      ],
      [
        { ...CHANGE, invite: { userIds: ["b", "a"] } },
        { kind: "change", requestId: "r-1", groupId: "g_1", operation: { kind: "invite", userIds: ["a", "b"] } },
      ],
      [
        { ...CHANGE, remove: { userIds: ["a"] } },
        { kind: "change", requestId: "r-1", groupId: "g_1", operation: { kind: "remove", userIds: ["a"] } },
      ],
      [
        { ...CHANGE, leave: {} },
        { kind: "change", requestId: "r-1", groupId: "g_1", operation: { kind: "leave" } },
      ],
      [
        { ...CHANGE, setRole: { userId: "a", role: "owner" } },
        { kind: "change", requestId: "r-1", groupId: "g_1", operation: { kind: "role", userId: "a", role: "owner" } },
      ],
      [
        { ...CHANGE, rename: { name: "" } },
        { kind: "change", requestId: "r-1", groupId: "g_1", operation: { kind: "rename", name: "" } },
      ],
      [
        { conversationId: "g_1", info: { after: "a", limit: 1000 } },
        { kind: "info", groupId: "g_1", after: "a", limit: 200 },
      ],
      [{ mine: { after: "", limit: 0 } }, { kind: "mine", after: "", limit: 100 }],
    ];
    for (const [group, request] of rows) assert.deepEqual(read(group), request);
  });

  it("has exactly one operation", () => {
    assert.match(reasonOf(CHANGE), /exactly one/);
    assert.match(reasonOf({ ...CHANGE, leave: {}, rename: { name: "x" } }), /exactly one/);
    assert.match(reasonOf({ ...CHANGE, info: { after: "", limit: 0 }, invite: { userIds: ["a"] } }), /exactly one/);
  });

  it("is refused with what is wrong with it", () => {
    const users = Array.from({ length: MAX_GROUP_USERS + 1 }, (_, at) => `u${at}`);
    const rows: [Partial<Group>, RegExp][] = [
      [{ requestId: "r", leave: {} }, /conversation_id/],
      [{ requestId: "r", conversationId: "x".repeat(65), leave: {} }, /conversation_id/],
      [{ requestId: "r", conversationId: "a\0", leave: {} }, /conversation_id/],
      [{ ...CHANGE, create: { name: "", userIds: [], fromStart: false } }, /conversation_id/],
      [{ conversationId: "g", mine: { after: "", limit: 0 } }, /conversation_id/],
      [{ conversationId: "g", leave: {} }, /request_id/],
      [{ ...CHANGE, requestId: "r".repeat(65), leave: {} }, /request_id/],
      [{ ...CHANGE, requestId: "r\0", leave: {} }, /request_id/],
      [{ ...CHANGE, invite: { userIds: [] } }, /user_ids/],
      [{ ...CHANGE, invite: { userIds: ["a b"] } }, /user_ids/],
      [{ ...CHANGE, remove: { userIds: users } }, /user_ids/],
      [{ requestId: "r", create: { name: "", userIds: users, fromStart: false } }, /user_ids/],
      [{ ...CHANGE, rename: { name: "x".repeat(MAX_GROUP_NAME_CHARS + 1) } }, /name/],
      [{ requestId: "r", create: { name: "a\0b", userIds: [], fromStart: false } }, /name/],
      [{ ...CHANGE, setRole: { userId: "", role: "admin" } }, /user_id/],
      [{ ...CHANGE, setRole: { userId: "a", role: "king" } }, /role/],
      [{ ...CHANGE, setRole: { userId: "a", role: "" } }, /role/],
      [{ conversationId: "g", info: { after: "x".repeat(65), limit: 1 } }, /after/],
      [{ mine: { after: "\0", limit: 1 } }, /after/],
    ];
    for (const [group, reason] of rows) assert.match(reasonOf(group), reason, JSON.stringify(group));
  });

  it("is a request or a refusal, whatever the bytes are", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const request = readGroupRequest("alice", bytes);
        assert.ok("kind" in request || request.code === ErrorCode.BAD_REQUEST);
      }),
      { numRuns: 2000 },
    );
  });
});
