// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import type { GroupReply } from "#proto/gen/messages.ts";
import type { Outgoing } from "../deliver/deliver.ts";
import { createMessageIds } from "../send/message-id.ts";
import { NO_SUCH_CONVERSATION, type Refusal } from "../session/session.ts";
import { MemoryStore } from "../store/memory.ts";
import { type GroupChangeRequest, GroupChanger } from "./group-changer.ts";
import { decodeGroupEvent } from "./group-event.ts";
import type { GroupOperation } from "./group-rules.ts";

let requests = 0;
const nextId = (): string => `r-${++requests}`;

function setUp() {
  const store = new MemoryStore();
  const clock = new FakeClock();
  const delivered: Outgoing[] = [];
  /** Runs between a look and the change that follows. */
  const between: (() => Promise<unknown>)[] = [];
  const changer = new GroupChanger({
    store: {
      look: async (request) => {
        const sight = await store.groups.look(request);
        await between.shift()?.();
        return sight;
      },
      change: (change, epoch) => store.groups.change(change, epoch),
      noteUnchanged: (event) => store.groups.noteUnchanged(event),
    },
    blockersAmong: (userId, others) => store.blocks.blockersAmong(userId, others),
    epochs: { current: store.epoch, markOf: () => 7 },
    messageId: createMessageIds(() => 1_700_000_000_000),
    deliver: (outgoing) => void delivered.push(outgoing),
    clock,
    random: () => 0.5,
  });
  const run = async (actor: string, request: GroupChangeRequest): Promise<Partial<GroupReply> | Refusal> => {
    const answer = changer.change(actor, request);
    let isDone = false;
    const done = answer.finally(() => (isDone = true)).catch(() => undefined);
    while (!isDone) {
      await new Promise((resolve) => setImmediate(resolve));
      clock.advance(100);
    }
    await done;
    return answer;
  };
  const create = async (actor: string, userIds: string[], fields = {}): Promise<string> => {
    const answer = await run(actor, {
      ...{ kind: "create", requestId: nextId(), name: "n", userIds, fromStart: false },
      ...fields,
    });
    return ok(answer).conversationId ?? "";
  };
  const change = (actor: string, groupId: string, operation: GroupOperation, requestId = nextId()) =>
    run(actor, { kind: "change", requestId, groupId, operation });
  const members = async (groupId: string, asker: string): Promise<string[]> => {
    const found = await store.groups.describe({ userId: asker, groupId, after: "", limit: 500 });
    return (found?.members ?? []).map(({ userId, role }) => `${userId} ${role}`);
  };
  return { store, delivered, between, run, create, change, members };
}

function ok(answer: Partial<GroupReply> | Refusal): Partial<GroupReply> {
  assert.ok(!("code" in answer), JSON.stringify(answer));
  return answer;
}

function refusal(answer: Partial<GroupReply> | Refusal): Refusal {
  assert.ok("code" in answer, JSON.stringify(answer));
  return answer;
}

describe("GroupChanger and blocks", () => {
  it("puts nobody into a group by whom it has blocked, and leaves those alone who are in it", async () => {
    const { store, create, change, run, members } = setUp();
    const peer = (peerId: string) => ({ peerId, conversationId: `c-${peerId}` });
    const group = await create("alice", ["carol"]);
    await store.blocks.change({ userId: "bob", block: [peer("alice")], unblock: [], atMs: 0 });
    await store.blocks.change({ userId: "carol", block: [peer("alice")], unblock: [], atMs: 0 });
    const refused = refusal(await change("alice", group, { kind: "invite", userIds: ["bob", "dave"] }));
    assert.equal(refused.code, ErrorCode.PERMISSION_DENIED);
    assert.match(refused.reason, /leave out bob$/);
    assert.deepEqual(await members(group, "alice"), ["alice owner", "carol member"]);
    ok(await change("alice", group, { kind: "role", userId: "carol", role: "admin" }));
    ok(await change("carol", group, { kind: "invite", userIds: ["bob"] }));
    const another = { kind: "create" as const, requestId: nextId(), name: "", userIds: ["bob"], fromStart: false };
    assert.equal(refusal(await run("alice", another)).code, ErrorCode.PERMISSION_DENIED);
  });
});

describe("GroupChanger", () => {
  it("makes a group, tells all of it, and gives a resend the first answer", async () => {
    const { run, delivered, members, store } = setUp();
    const request: GroupChangeRequest = {
      ...{ kind: "create", requestId: "r", name: "friends", userIds: ["bob", "carol"], fromStart: true },
    };
    const first = ok(await run("alice", request));
    assert.match(first.conversationId ?? "", /^g_[0-9a-f]{32}$/);
    assert.deepEqual(
      { ...first, conversationId: "" },
      { conversationId: "", version: 1, convSeq: 1, userIds: ["bob", "carol"] },
    );
    assert.deepEqual(await run("alice", request), { ...first, duplicate: true });
    assert.deepEqual(await members(first.conversationId ?? "", "bob"), ["alice owner", "bob member", "carol member"]);
    assert.equal(delivered.length, 1);
    const { event, recipients, epochMark } = delivered[0] as Outgoing;
    assert.deepEqual(decodeGroupEvent(event.content), {
      ...{ kind: "created", actor: "alice", users: ["bob", "carol"], version: 1, members: 3 },
      ...{ name: "friends", fromStart: true },
    });
    assert.deepEqual(
      [event.contentType, event.sender, event.clientMessageId, epochMark],
      ["im/group", "alice", "r", 7],
    );
    assert.deepEqual(recipients.map(({ userId }) => userId).sort(), ["alice", "bob", "carol"]);
    assert.equal((await store.readInbox({ userId: "bob", cursor: 0, limit: 9, limitBytes: 9999 })).head, 1);
    const other = refusal(await run("alice", { ...request, name: "foes" }));
    assert.equal(other.code, ErrorCode.CONFLICT);
    assert.notEqual(ok(await run("bob", request)).conversationId, first.conversationId, "keys are of their user");
  });

  it("tells of every change what it was, those before and after", async () => {
    const { create, change, delivered } = setUp();
    const id = await create("alice", ["bob"]);
    await change("alice", id, { kind: "invite", userIds: ["bob", "carol"] });
    await change("alice", id, { kind: "role", userId: "carol", role: "admin" });
    await change("carol", id, { kind: "remove", userIds: ["bob"] });
    await change("alice", id, { kind: "rename", name: "duo" });
    await change("alice", id, { kind: "role", userId: "carol", role: "owner" });
    await change("alice", id, { kind: "leave" });
    const told = delivered.slice(1).map(({ event, recipients }) => {
      const { kind, actor, users, version, members, ...rest } = decodeGroupEvent(event.content);
      const to = recipients.map(({ userId }) => userId).sort();
      return [kind, actor, users.join(), version, members, to.join(), JSON.stringify(rest)].join(" ");
    });
    assert.deepEqual(told, [
      "invited alice carol 2 3 alice,bob,carol {}",
      'role alice carol 3 3 alice,bob,carol {"role":"admin"}',
      "removed carol bob 4 2 alice,bob,carol {}",
      'renamed alice  5 2 alice,carol {"name":"duo"}',
      'role alice carol 6 2 alice,carol {"role":"owner"}',
      "left alice alice 7 1 alice,carol {}",
    ]);
  });

  it("answers strangers, who was removed, and who asks for nothing that is, alike", async () => {
    const { create, change } = setUp();
    const id = await create("alice", ["bob"]);
    await change("alice", id, { kind: "remove", userIds: ["bob"] });
    const operations: GroupOperation[] = [
      { kind: "invite", userIds: ["x"] },
      { kind: "remove", userIds: ["alice"] },
      { kind: "leave" },
      { kind: "role", userId: "alice", role: "member" },
      { kind: "rename", name: "mine" },
    ];
    for (const operation of operations) {
      const answers = [
        await change("bob", id, operation),
        await change("stranger", id, operation),
        await change("alice", "g_0", operation),
      ];
      for (const answer of answers)
        assert.deepEqual(answer, { code: ErrorCode.PERMISSION_DENIED, reason: NO_SUCH_CONVERSATION });
    }
  });

  it("gives who left the first answer to a resend, though it is no member any more", async () => {
    const { create, change, delivered } = setUp();
    const id = await create("alice", ["bob"]);
    const first = ok(await change("bob", id, { kind: "leave" }, "leaving"));
    assert.deepEqual(ok(await change("bob", id, { kind: "leave" }, "leaving")), { ...first, duplicate: true });
    assert.equal(delivered.length, 2);
    assert.equal(refusal(await change("bob", id, { kind: "leave" })).code, ErrorCode.PERMISSION_DENIED);
  });

  it("changes nothing where there is nothing to change, and does not do it later either", async () => {
    const { create, change, delivered, members } = setUp();
    const id = await create("alice", ["bob"]);
    const invite: GroupOperation = { kind: "invite", userIds: ["bob"] };
    assert.deepEqual(await change("alice", id, invite, "again"), { conversationId: id });
    await change("bob", id, { kind: "leave" });
    assert.deepEqual(await change("alice", id, invite, "again"), { conversationId: id, duplicate: true });
    assert.deepEqual(await members(id, "alice"), ["alice owner"]);
    assert.equal(delivered.length, 2);
  });

  it("decides anew when somebody else was faster: an admin who was lowered removes nobody", async () => {
    const { create, change, between, members } = setUp();
    const id = await create("alice", ["bob", "carol"]);
    await change("alice", id, { kind: "role", userId: "bob", role: "admin" });
    between.push(() => change("alice", id, { kind: "role", userId: "bob", role: "member" }));
    const answer = refusal(await change("bob", id, { kind: "remove", userIds: ["carol"] }));
    assert.equal(answer.code, ErrorCode.PERMISSION_DENIED);
    assert.deepEqual(await members(id, "carol"), ["alice owner", "bob member", "carol member"]);
  });

  it("refuses who was removed a moment before, and makes two admins' changes one after the other", async () => {
    const { create, change, between, members, delivered } = setUp();
    const id = await create("alice", ["bob", "carol"]);
    for (const userId of ["bob", "carol"]) await change("alice", id, { kind: "role", userId, role: "admin" });
    between.push(() => change("alice", id, { kind: "remove", userIds: ["bob"] }));
    const late = refusal(await change("bob", id, { kind: "invite", userIds: ["dave"] }));
    assert.equal(late.reason, NO_SUCH_CONVERSATION);
    between.push(() => change("carol", id, { kind: "invite", userIds: ["erin"] }));
    ok(await change("alice", id, { kind: "invite", userIds: ["dave"] }));
    const all = ["alice owner", "carol admin", "dave member", "erin member"];
    assert.deepEqual(await members(id, "alice"), all);
    const last = delivered.at(-1);
    assert.deepEqual(last?.recipients.map(({ userId }) => userId).sort(), ["alice", "carol", "dave", "erin"]);
  });

  it("leaves the last owner no way out while somebody joins", async () => {
    const { create, change, between, members } = setUp();
    const id = await create("alice", []);
    between.push(() => change("alice", id, { kind: "invite", userIds: ["bob"] }));
    assert.equal(refusal(await change("alice", id, { kind: "leave" })).code, ErrorCode.PERMISSION_DENIED);
    assert.deepEqual(await members(id, "bob"), ["alice owner", "bob member"]);
  });

  it("answers a request that is being made elsewhere with the answer there", async () => {
    const { create, change, between, delivered } = setUp();
    const id = await create("alice", []);
    const invite: GroupOperation = { kind: "invite", userIds: ["bob"] };
    between.push(() => change("alice", id, invite, "twice"));
    const answer = ok(await change("alice", id, invite, "twice"));
    assert.deepEqual([answer.duplicate, answer.version], [true, 2]);
    assert.equal(delivered.length, 2);
  });

  it("gives up as retryable when it is never fast enough", async () => {
    const { create, change, between } = setUp();
    const id = await create("alice", []);
    const renamed = async (at: number): Promise<void> => {
      const rest = between.splice(0);
      await change("alice", id, { kind: "rename", name: `n${at}` });
      between.push(...rest);
    };
    for (let at = 0; at < 100; at++) between.push(() => renamed(at));
    await assert.rejects(
      change("alice", id, { kind: "invite", userIds: ["bob"] }),
      (error) => error instanceof ImError && error.code === ErrorCode.RETRYABLE && error.retryable,
    );
  });
});
