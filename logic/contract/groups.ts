// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import { ErrorCode } from "#lib/errors.ts";
import { Command } from "#proto/commands.ts";
import type { Event, Group, GroupReply } from "#proto/gen/messages.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { TestAnswer } from "../entry-kit.ts";
import { decodeGroupEvent } from "../groups/group-event.ts";
import { NO_SUCH_CONVERSATION } from "../session/session.ts";
import { attached, type LogicHarness, type Online, online, say, text, unique } from "./kit.ts";

/** Asks for a change, under a fresh request id. */
function ask(who: Online, group: Partial<Group>): Promise<TestAnswer<GroupReply>> {
  return who.entry.group(who.conn, { requestId: unique("gr"), ...group });
}

function ok(answer: TestAnswer<GroupReply>): GroupReply {
  assert.ok(answer.kind === "ok", JSON.stringify(answer));
  return answer.body;
}

/** Some users who are online at entries of their own, and a group of the first one with the others. */
async function gathered(get: () => LogicHarness, count: number): Promise<{ users: Online[]; conversationId: string }> {
  const users: Online[] = [];
  for (let at = 0; at < count; at++) users.push(await online(get, await attached(get)));
  const [owner, ...others] = users;
  assert.ok(owner);
  const userIds = others.map(({ user }) => user);
  const { conversationId } = ok(await ask(owner, { create: { name: "a group", userIds, fromStart: false } }));
  for (const user of users) await nextEvent(user);
  return { users, conversationId };
}

function nextEvent({ entry, conn }: Online): Promise<Event> {
  return entry.delivered(conn);
}

/** What an event of a group says, in a line. */
function lineOf({ contentType, sender, content }: Event): string {
  assert.equal(contentType, "im/group");
  const { kind, actor, users, version } = decodeGroupEvent(content);
  assert.equal(actor, sender);
  return `${kind} ${users.join()} ${version}`;
}

/** Run by logicContract: GROUP. */
export function groups(get: () => LogicHarness): void {
  it("makes a group whose members all hear of it and talk in it", async () => {
    const entry = await attached(get);
    const [alice, bob] = [await online(get, entry), await online(get, await attached(get))];
    const create = { name: "two", userIds: [bob.user], fromStart: false };
    const made = ok(await ask(alice, { create }));
    assert.deepEqual([made.version, made.convSeq, made.userIds, made.duplicate], [1, 1, [bob.user], false]);
    for (const user of [alice, bob]) assert.equal(lineOf(await nextEvent(user)), `created ${bob.user} 1`);
    const { conversationId } = made;
    assert.equal((await say(bob, { conversationId, content: text("hi") })).kind, "ok");
    const heard = await nextEvent(alice);
    assert.deepEqual([heard.convSeq, heard.sender, Buffer.from(heard.content).toString()], [2, bob.user, "hi"]);
    const info = ok(await ask(bob, { conversationId, info: { after: "", limit: 0 } }));
    assert.deepEqual(info.group, {
      ...{
        conversationId,
        name: "two",
        version: 1,
        memberCount: 2,
        role: "member",
        fromStart: false,
        lastSeq: 2,
        large: false,
      },
    });
    assert.deepEqual(
      info.members.map(({ userId, role }) => `${userId} ${role}`),
      [alice.user, bob.user].sort().map((id) => `${id} ${id === alice.user ? "owner" : "member"}`),
    );
    const mine = ok(await ask(bob, { mine: { after: "", limit: 0 } }));
    assert.deepEqual([mine.groups, mine.next], [[info.group], ""]);
  });

  it("answers a resend as at first, and makes nothing twice", async () => {
    const alice = await online(get, await attached(get));
    const request = { requestId: unique("gr"), create: { name: "one", userIds: [], fromStart: false } };
    const first = ok(await alice.entry.group(alice.conn, request));
    assert.deepEqual(ok(await alice.entry.group(alice.conn, request)), { ...first, duplicate: true });
    const other = { ...request, create: { ...request.create, name: "other" } };
    const refused = await alice.entry.group(alice.conn, other);
    assert.ok(refused.kind === "error" && refused.error.code === ErrorCode.CONFLICT && refused.error.messageId !== "");
    assert.equal(ok(await ask(alice, { mine: { after: "", limit: 0 } })).groups.length, 1);
  });

  it("pages", async () => {
    const alice = await online(get, await attached(get));
    const userIds = Array.from({ length: 5 }, () => unique("u"));
    const { conversationId } = ok(await ask(alice, { create: { name: "", userIds, fromStart: false } }));
    ok(await ask(alice, { create: { name: "", userIds: [], fromStart: false } }));
    const members: string[] = [];
    let after = "";
    do {
      const page = ok(await ask(alice, { conversationId, info: { after, limit: 2 } }));
      members.push(...page.members.map(({ userId }) => userId));
      after = page.next;
    } while (after !== "");
    assert.deepEqual(members, [alice.user, ...userIds].sort());
    const first = ok(await ask(alice, { mine: { after: "", limit: 1 } }));
    const second = ok(await ask(alice, { mine: { after: first.next, limit: 1 } }));
    assert.equal(new Set([...first.groups, ...second.groups].map((group) => group.conversationId)).size, 2);
  });
}

/** Run by logicContract: GROUP changes a group. */
export function groupChanges(get: () => LogicHarness): void {
  it("gives who is removed the event of it and nothing else, on its open connection, and refuses it", async () => {
    const { users, conversationId } = await gathered(get, 3);
    const [alice, bob, carol] = users as [Online, Online, Online];
    const removed = ok(await ask(alice, { conversationId, remove: { userIds: [bob.user] } }));
    for (const user of users) assert.equal(lineOf(await nextEvent(user)), `removed ${bob.user} 2`);
    await say(carol, { conversationId });
    assert.equal((await nextEvent(alice)).convSeq, removed.convSeq + 1);
    const denied = { code: ErrorCode.PERMISSION_DENIED, reason: NO_SUCH_CONVERSATION };
    const answers = [
      await say(bob, { conversationId }),
      await bob.entry.history(bob.conn, { conversationId }),
      await ask(bob, { conversationId, info: { after: "", limit: 0 } }),
      await ask(bob, { conversationId, leave: {} }),
      await ask(bob, { conversationId, invite: { userIds: [bob.user] } }),
    ];
    for (const answer of answers) {
      assert.ok(answer.kind === "error");
      assert.deepEqual({ code: answer.error.code, reason: answer.error.reason }, denied);
    }
    assert.deepEqual(bob.entry.waiting(RecordKind.DELIVER), []);
    const page = await bob.entry.sync(bob.conn, { cursor: 0 });
    assert.ok(page.kind === "ok");
    assert.deepEqual(
      page.body.events.map(({ convSeq }) => convSeq),
      [1, removed.convSeq],
    );
  });

  it("invites, hands over, renames and lets leave, and refuses who may not", async () => {
    const { users, conversationId } = await gathered(get, 2);
    const [alice, bob] = users as [Online, Online];
    const carol = await online(get, await attached(get));
    const refused = async (who: Online, group: Partial<Group>): Promise<void> => {
      const answer = await ask(who, { conversationId, ...group });
      assert.ok(
        answer.kind === "error" && answer.error.code === ErrorCode.PERMISSION_DENIED && !answer.error.retryable,
      );
      assert.notEqual(answer.error.reason, NO_SUCH_CONVERSATION);
    };
    await refused(bob, { invite: { userIds: [carol.user] } });
    await refused(bob, { setRole: { userId: bob.user, role: "owner" } });
    await refused(bob, { rename: { name: "mine" } });
    await refused(bob, { remove: { userIds: [alice.user] } });
    await refused(alice, { leave: {} });
    ok(await ask(alice, { conversationId, setRole: { userId: bob.user, role: "owner" } }));
    await refused(alice, { setRole: { userId: alice.user, role: "owner" } });
    ok(await ask(alice, { conversationId, invite: { userIds: [carol.user] } }));
    ok(await ask(bob, { conversationId, rename: { name: "theirs" } }));
    ok(await ask(alice, { conversationId, leave: {} }));
    const lines = async (who: Online, count: number): Promise<string[]> => {
      const all: string[] = [];
      for (let at = 0; at < count; at++) all.push(lineOf(await nextEvent(who)));
      return all;
    };
    const all = [`role ${bob.user} 2`, `invited ${carol.user} 3`, "renamed  4", `left ${alice.user} 5`];
    assert.deepEqual(await lines(bob, 4), all);
    assert.deepEqual(await lines(alice, 4), all);
    assert.deepEqual(await lines(carol, 3), all.slice(1));
    const info = ok(await ask(carol, { conversationId, info: { after: "", limit: 0 } }));
    assert.deepEqual([info.group?.name, info.version, info.group?.memberCount], ["theirs", 5, 2]);
    assert.equal((await say(alice, { conversationId })).kind, "error");
  });

  it("takes nobody's word for what the server says", async () => {
    const { users, conversationId } = await gathered(get, 2);
    const [, bob] = users as [Online, Online];
    for (const contentType of ["im/group", "im/", "im/anything"]) {
      const answer = await say(bob, { conversationId, contentType });
      assert.ok(answer.kind === "error" && answer.error.code === ErrorCode.BAD_REQUEST);
    }
    assert.equal((await say(bob, { conversationId, contentType: "image/png" })).kind, "ok");
  });

  it("refuses what is no request, and too many of them", async () => {
    const alice = await online(get, await attached(get));
    const answer = await alice.entry.group(alice.conn, { requestId: "r" });
    assert.ok(answer.kind === "error" && answer.error.code === ErrorCode.BAD_REQUEST);
    const junk = await alice.entry.ask(alice.conn, Command.GROUP, Buffer.from([0xff]), Command.GROUP, (bytes) => bytes);
    assert.ok(junk.kind === "error" && junk.error.code === ErrorCode.BAD_REQUEST);
    const many = Array.from({ length: 200 }, () => ask(alice, { mine: { after: "", limit: 0 } }));
    const errors = (await Promise.all(many)).flatMap((one) => (one.kind === "error" ? [one.error] : []));
    assert.ok(errors.length > 0 && errors.length < 200);
    assert.ok(errors.every((error) => error.code === ErrorCode.RATE_LIMITED && error.retryAfterMs > 0));
  });
}

/** Run by logicContract: what somebody outside learns of a group. */
export function groupSecrecy(get: () => LogicHarness): void {
  it("tells strangers, those who left and those who make ids up the same, whatever they ask", async () => {
    const { users, conversationId } = await gathered(get, 2);
    const [alice, bob] = users as [Online, Online];
    ok(await ask(bob, { conversationId, leave: {} }));
    const stranger = await online(get, await attached(get));
    const direct = await say(alice, { to: bob.user });
    assert.ok(direct.kind === "ok");
    const asked: Partial<Group>[] = [
      { invite: { userIds: [stranger.user] } },
      { remove: { userIds: [alice.user] } },
      { leave: {} },
      { setRole: { userId: alice.user, role: "member" } },
      { rename: { name: "x" } },
      { info: { after: "", limit: 0 } },
    ];
    const cells: [Online, string][] = [
      [stranger, conversationId],
      [bob, conversationId],
      [stranger, unique("g")],
      [stranger, direct.body.conversationId],
      [alice, direct.body.conversationId],
    ];
    for (const group of asked) {
      for (const [who, id] of cells) {
        const answer = await ask(who, { ...group, conversationId: id });
        assert.ok(answer.kind === "error", JSON.stringify(group));
        const { code, reason, retryable, messageId } = answer.error;
        assert.deepEqual(
          [code, reason, retryable, messageId],
          [ErrorCode.PERMISSION_DENIED, NO_SUCH_CONVERSATION, false, ""],
        );
      }
    }
    assert.deepEqual(ok(await ask(stranger, { mine: { after: "", limit: 0 } })).groups, []);
  });
}
