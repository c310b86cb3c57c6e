// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ErrorCode } from "../codes.ts";
import { ImClientError } from "../errors.ts";
import { ChatCommand } from "./chat-commands.ts";
import { GROUP_EVENT_TYPE, Groups, groupEventOf } from "./groups.ts";
import { Group, GroupReply } from "./groups-codec.ts";

/** A server that answers in turn, and what it was asked without what was left out. */
function setUp(...replies: Partial<GroupReply>[]) {
  const asked: Record<string, unknown>[] = [];
  const groups = new Groups({
    request: async (cmd, body, { signal } = {}) => {
      assert.equal(cmd, ChatCommand.GROUP);
      signal?.throwIfAborted();
      const all = Object.entries(Group.decode(body));
      asked.push(Object.fromEntries(all.filter(([, value]) => value !== null && value !== "")));
      return GroupReply.encode(replies.shift() ?? {});
    },
  });
  return { groups, asked };
}

const requestId = "r-1";

describe("Groups", () => {
  it("asks for every change, under the request id of the caller", async () => {
    const { groups, asked } = setUp({ conversationId: "g", version: 1, convSeq: 1, userIds: ["bob"] });
    const made = await groups.create({ userIds: ["bob"] }, { requestId });
    assert.deepEqual(made, { conversationId: "g", version: 1, convSeq: 1, userIds: ["bob"], duplicate: false });
    await groups.create({ name: "n", userIds: [], fromStart: true }, { requestId });
    await groups.invite("g", ["bob", "carol"], { requestId });
    await groups.remove("g", ["bob"], { requestId });
    await groups.leave("g", { requestId });
    await groups.setRole("g", "bob", "admin", { requestId });
    await groups.rename("g", "", { requestId });
    const conversationId = "g";
    assert.deepEqual(asked, [
      { requestId, create: { name: "", userIds: ["bob"], fromStart: false } },
      { requestId, create: { name: "n", userIds: [], fromStart: true } },
      { requestId, conversationId, invite: { userIds: ["bob", "carol"] } },
      { requestId, conversationId, remove: { userIds: ["bob"] } },
      { requestId, conversationId, leave: {} },
      { requestId, conversationId, setRole: { userId: "bob", role: "admin" } },
      { requestId, conversationId, rename: { name: "" } },
    ]);
  });

  it("makes a request id of its own for every call", async () => {
    const { groups, asked } = setUp();
    await groups.leave("g");
    await groups.leave("g");
    const ids = asked.map((request) => request.requestId);
    for (const id of ids) assert.match(String(id), /^[0-9a-f]{32}$/);
    assert.notEqual(ids[0], ids[1]);
  });

  it("reads a group, and pages through members and groups", async () => {
    const summary = { conversationId: "g", name: "n", version: 3, memberCount: 3, role: "owner", lastSeq: 9 };
    const group = { ...summary, fromStart: true, large: false };
    const member = (userId: string, role = "member") => ({ userId, role });
    const { groups, asked } = setUp(
      { group },
      { members: [member("a", "owner"), member("b")], next: "b" },
      { members: [member("c")] },
      { groups: [group], next: "g" },
      { groups: [{ ...group, conversationId: "h" }] },
    );
    assert.deepEqual(await groups.info("g"), group);
    assert.deepEqual(await Array.fromAsync(groups.members("g")), [member("a", "owner"), member("b"), member("c")]);
    const mine = await Array.fromAsync(groups.mine());
    assert.deepEqual(
      mine.map(({ conversationId }) => conversationId),
      ["g", "h"],
    );
    assert.deepEqual(asked, [
      { conversationId: "g", info: { after: "", limit: 1 } },
      { conversationId: "g", info: { after: "", limit: 0 } },
      { conversationId: "g", info: { after: "b", limit: 0 } },
      { mine: { after: "", limit: 0 } },
      { mine: { after: "g", limit: 0 } },
    ]);
  });

  it("passes on a signal, and says so when an answer is none", async () => {
    const { groups } = setUp({});
    await assert.rejects(groups.leave("g", { signal: AbortSignal.abort(new Error("enough")) }), /enough/);
    await assert.rejects(
      groups.info("g"),
      (error) => error instanceof ImClientError && error.code === ErrorCode.INTERNAL,
    );
  });

  it("reads what a message says of its group, and nothing out of others", () => {
    const event = { kind: "removed", actor: "alice", users: ["bob"], version: 4, members: 2 };
    const text = JSON.stringify(event);
    assert.deepEqual(groupEventOf({ contentType: GROUP_EVENT_TYPE, text }), event);
    assert.equal(groupEventOf({ contentType: "text/plain", text }), undefined);
  });
});
