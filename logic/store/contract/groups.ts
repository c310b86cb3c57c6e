// SPDX-License-Identifier: Apache-2.0
// Groups: changes by version, what members of them read, and what becomes of a request that is made again.
import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { it } from "node:test";
import type { GroupChange, GroupMember, GroupRole } from "../groups.ts";
import { type AppendInput, OtherEpochError } from "../store.ts";
import { appended, byUser, type ContractStore, direct, message, readAll, user } from "./fixture.ts";

const groupId = (): string => `g_${randomUUID().replaceAll("-", "")}`;

/** An event of a change; its hash follows its content. */
export function groupEvent(conversationId: string, sender: string, fields: Partial<AppendInput> = {}): AppendInput {
  const content = fields.content ?? Buffer.from(randomUUID());
  const payloadHash = createHash("sha256").update("group\0").update(content).digest();
  return message({ sender, peer: "", conversationId, contentType: "im/group", payloadHash, ...fields, content });
}

const as = (role: GroupRole, ...userIds: string[]): GroupMember[] => userIds.map((userId) => ({ userId, role }));

/** What the contracts of groups do to a store. */
function groupKit(store: () => ContractStore) {
  const epoch = (): Promise<string> => store().ping();

  /** Makes a change of a group whose members were `before`. */
  async function change(
    event: AppendInput,
    version: number,
    before: readonly string[],
    what: Partial<Pick<GroupChange, "name" | "fromStart" | "removed" | "put">>,
  ) {
    const { put = [], removed = [], ...rest } = what;
    const recipients = [...new Set([...before, ...put.map(({ userId }) => userId)])];
    return store().groups.change({ event, version, removed, put, recipients, ...rest }, await epoch());
  }

  async function make(owner: string, others: readonly string[], fields: { fromStart?: boolean; id?: string } = {}) {
    const { fromStart = false, id = groupId() } = fields;
    const put = [...as("owner", owner), ...as("member", ...others)];
    const made = await change(groupEvent(id, owner), 0, [], { name: "the group", fromStart, put });
    assert.equal(made?.kind, "stored");
    return id;
  }

  const say = async (sender: string, conversationId: string) =>
    (await store().append([message({ sender, peer: "", conversationId })]))[0];

  const look = (actor: string, id: string, event: AppendInput = groupEvent(id, actor)) =>
    store().groups.look({
      ...{ actor, requestId: event.clientMessageId, payloadHash: event.payloadHash, groupId: id },
    });

  const read = (userId: string, conversationId: string) =>
    store().readHistory({
      ...{ userId, conversationId, direction: "forward", from: 0 },
      ...{ limit: 100, limitBytes: 1 << 20 },
    });

  return { change, make, say, look, read };
}

/** Who is in a group, and what they and others get and read. */
export function groupMembersContract(store: () => ContractStore): void {
  const { change, make, say, look, read } = groupKit(store);

  it("makes a group with its event in the inbox of every member, and shows it to them alone", async () => {
    const [alice, bob, carol, stranger] = [user(), user(), user(), user()];
    const id = groupId();
    const event = groupEvent(id, alice);
    const put = [...as("owner", alice), ...as("member", bob, carol)];
    const made = await change(event, 0, [], { name: "Ärger 😀", put });
    assert.deepEqual(
      made?.recipients.toSorted(byUser),
      [alice, bob, carol].map((userId) => ({ userId, inboxSeq: 1 })).sort(byUser),
    );
    assert.equal(made?.convSeq, 1);
    for (const member of [alice, bob, carol]) {
      const [stored] = (await readAll(store(), member)).events;
      assert.deepEqual(
        [stored?.messageId, stored?.contentType, stored?.sender, Buffer.from(stored?.content ?? []).toString()],
        [event.messageId, "im/group", alice, Buffer.from(event.content).toString()],
      );
    }
    const sight = await look(bob, id);
    assert.deepEqual([sight.known, sight.group?.version, sight.group?.name], [undefined, 1, "Ärger 😀"]);
    assert.deepEqual([...(sight.group?.roles ?? [])].sort(), put.map(({ userId, role }) => [userId, role]).sort());
    for (const other of [stranger]) assert.deepEqual(await look(other, id), { known: undefined, group: undefined });
    assert.deepEqual(await look(alice, groupId()), { known: undefined, group: undefined });
    assert.equal((await say(bob, id))?.kind, "stored");
    assert.equal((await say(stranger, id))?.kind, "not-member");
    assert.equal(await read(stranger, id), undefined);
  });

  it("knows nothing of groups where two talk, or where there is only a conversation", async () => {
    const [alice, bob] = [user(), user()];
    const pair = appended((await store().append([message({ sender: alice, peer: bob })]))[0]).conversationId;
    const made = groupId();
    await store().createConversation(made, [alice, bob]);
    for (const id of [pair, made]) {
      assert.equal((await look(alice, id)).group, undefined);
      assert.equal(await store().groups.describe({ userId: alice, groupId: id, after: "", limit: 10 }), undefined);
    }
    assert.deepEqual(await store().groups.groupsOf({ userId: alice, after: "", limit: 10 }), []);
  });

  it("gives who is removed the event of it and nothing after it, and refuses it at once", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const id = await make(alice, [bob, carol]);
    await say(alice, id);
    const removal = groupEvent(id, alice);
    const removed = await change(removal, 1, [alice, bob, carol], { removed: [bob] });
    assert.deepEqual(
      removed?.recipients.find(({ userId }) => userId === bob),
      { userId: bob, inboxSeq: 3 },
    );
    assert.equal((await say(bob, id))?.kind, "not-member");
    const later = appended(await say(carol, id));
    assert.deepEqual(later.recipients.map(({ userId }) => userId).sort(), [alice, carol].sort());
    assert.deepEqual(
      (await readAll(store(), bob)).events.map(({ convSeq }) => convSeq),
      [1, 2, 3],
    );
    assert.equal((await readAll(store(), bob)).events.at(-1)?.messageId, removal.messageId);
    assert.equal(await read(bob, id), undefined);
    assert.equal((await look(bob, id)).group, undefined);
    assert.deepEqual(await store().groups.groupsOf({ userId: bob, after: "", limit: 10 }), []);
    assert.equal(
      (await store().groups.describe({ userId: carol, groupId: id, after: "", limit: 9 }))?.group.memberCount,
      2,
    );
  });
}

/** What who joins may read. */
export function groupHistoryContract(store: () => ContractStore): void {
  const { change, make, say, look, read } = groupKit(store);

  it("lets who joins read from its joining on, or from the start, as the group was made", async () => {
    const [alice, bob] = [user(), user()];
    for (const fromStart of [false, true]) {
      const id = await make(alice, [], { fromStart });
      await say(alice, id);
      const invited = await change(groupEvent(id, alice), 1, [alice], { put: as("member", bob) });
      await say(alice, id);
      assert.equal(invited?.convSeq, 3);
      const page = await read(bob, id);
      assert.deepEqual(
        page?.events.map(({ convSeq }) => convSeq),
        fromStart ? [1, 2, 3, 4] : [3, 4],
      );
      assert.equal(page?.firstSeq, fromStart ? 1 : 3);
      const own = (await readAll(store(), bob)).events.filter(({ conversationId }) => conversationId === id);
      assert.deepEqual(
        own.map(({ convSeq }) => convSeq),
        [3, 4],
        "the inbox begins with the joining either way",
      );
    }
  });

  it("shows who comes back nothing of what was said meanwhile", async () => {
    const [alice, bob] = [user(), user()];
    const id = await make(alice, [bob]);
    await change(groupEvent(id, alice), 1, [alice, bob], { removed: [bob] });
    await say(alice, id);
    await change(groupEvent(id, alice), 2, [alice], { put: as("admin", bob) });
    assert.deepEqual(
      (await read(bob, id))?.events.map(({ convSeq }) => convSeq),
      [4],
    );
    assert.deepEqual(
      (await readAll(store(), bob)).events.map(({ convSeq }) => convSeq),
      [1, 2, 4],
    );
    assert.equal((await look(bob, id)).group?.roles.get(bob), "admin");
  });
}

/** By which version groups change. */
export function groupChangesContract(store: () => ContractStore): void {
  const { change, make, look } = groupKit(store);

  it("changes nothing at another version, or for a request that was made before", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const id = await make(alice, [bob]);
    const before = (await readAll(store(), bob)).head;
    for (const version of [0, 2, 7])
      assert.equal(await change(groupEvent(id, alice), version, [alice, bob], { put: as("member", carol) }), undefined);
    const event = groupEvent(id, alice);
    assert.ok(await change(event, 1, [alice, bob], { put: as("admin", bob) }));
    assert.equal(await change(event, 2, [alice, bob], { put: as("member", carol) }), undefined, "the same request");
    assert.equal((await readAll(store(), bob)).head, before + 1);
    assert.deepEqual((await look(alice, id)).group?.version, 2);
    assert.deepEqual(
      [...((await look(alice, id)).group?.roles ?? [])].sort(),
      [
        [alice, "owner"],
        [bob, "admin"],
      ].sort(),
    );
    const unknown = await change(groupEvent(groupId(), alice), 3, [alice], { put: as("member", carol) });
    assert.equal(unknown, undefined, "there is no such group");
  });

  it("keeps roles and the name over other changes, and hands over in one", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const id = await make(alice, [bob]);
    await change(groupEvent(id, alice), 1, [alice, bob], { put: as("admin", bob) });
    await change(groupEvent(id, bob), 2, [alice, bob], { put: as("member", carol) });
    const members = [alice, bob, carol];
    await change(groupEvent(id, alice), 3, members, { put: [...as("owner", carol), ...as("admin", alice)] });
    await change(groupEvent(id, carol), 4, members, { name: "" });
    const found = await store().groups.describe({ userId: bob, groupId: id, after: "", limit: 10 });
    assert.deepEqual(found?.group, {
      ...{
        conversationId: id,
        name: "",
        version: 5,
        memberCount: 3,
        role: "admin",
        fromStart: false,
        lastSeq: 5,
        large: false,
      },
    });
    const roles = [...as("admin", alice, bob), ...as("owner", carol)];
    assert.deepEqual(found?.members, roles.sort(byUser));
  });

  it("changes nothing in another epoch", async () => {
    const [alice, bob] = [user(), user()];
    const id = await make(alice, [bob]);
    const event = groupEvent(id, alice);
    const rest = { version: 1, removed: [bob], put: [], recipients: [alice, bob] };
    await assert.rejects(store().groups.change({ event, ...rest }, randomUUID()), OtherEpochError);
    assert.deepEqual([...((await look(alice, id)).group?.roles.keys() ?? [])].sort(), [alice, bob].sort());
    assert.equal((await look(alice, id, event)).known, undefined);
  });
}

/** What becomes of a request that is made again. */
export function groupRequestsContract(store: () => ContractStore): void {
  const { change, make, look } = groupKit(store);

  it("tells what became of a request: the same, something else, nothing", async () => {
    const [alice, bob] = [user(), user()];
    const id = await make(alice, [bob]);
    const event = groupEvent(id, bob);
    await change(event, 1, [alice, bob], { removed: [bob] });
    const again = await look(bob, id, event);
    assert.equal(again.group, undefined);
    assert.ok(again.known?.kind === "same");
    assert.deepEqual([again.known.groupId, again.known.convSeq], [id, 2]);
    assert.deepEqual(Buffer.from(again.known.content), Buffer.from(event.content));
    const other = groupEvent(id, bob, { clientMessageId: event.clientMessageId });
    assert.deepEqual((await look(bob, id, other)).known, { kind: "conflict", messageId: event.messageId });
    assert.equal((await look(alice, id, event)).known, undefined, "keys are of their sender");
    const unchanged = groupEvent(id, alice);
    assert.equal(await store().groups.noteUnchanged(unchanged), true);
    assert.equal(await store().groups.noteUnchanged(unchanged), false);
    const noted = (await look(alice, id, unchanged)).known;
    assert.ok(noted?.kind === "same" && noted.convSeq === 0 && noted.groupId === id && noted.content.length === 0);
    assert.equal(await change(unchanged, 2, [alice], { name: "x" }), undefined);
  });

  it("shares keys with messages: neither takes the other's", async () => {
    const [alice, bob] = [user(), user()];
    const id = await make(alice, [bob]);
    const event = groupEvent(id, alice);
    await change(event, 1, [alice, bob], { name: "renamed" });
    const sent = message({ sender: alice, peer: bob, clientMessageId: event.clientMessageId });
    assert.deepEqual((await store().append([sent]))[0], { kind: "conflict", messageId: event.messageId });
    const first = message({ sender: alice, peer: bob });
    await store().append([first]);
    const taken = groupEvent(id, alice, { clientMessageId: first.clientMessageId });
    assert.equal(await change(taken, 2, [alice, bob], { name: "no" }), undefined);
    assert.deepEqual((await look(alice, id, taken)).known, { kind: "conflict", messageId: first.messageId });
    assert.equal((await look(alice, id)).group?.name, "renamed");
  });
}

/** Pages, and presence. */
export function groupSightsContract(store: () => ContractStore): void {
  const { change, make, say } = groupKit(store);

  it("pages members and groups in the order of their ids", async () => {
    const owner = user();
    const others = Array.from({ length: 199 }, user);
    const id = await make(owner, others);
    const members: string[] = [];
    for (let after = ""; ; ) {
      const found = await store().groups.describe({ userId: owner, groupId: id, after, limit: 60 });
      members.push(...(found?.members ?? []).map(({ userId }) => userId));
      if ((found?.members.length ?? 0) < 60) break;
      after = members.at(-1) ?? "";
    }
    assert.deepEqual(members, [owner, ...others].sort());
    const ids = [id];
    for (let at = 0; at < 4; at++) ids.push(await make(owner, []));
    const first = await store().groups.groupsOf({ userId: owner, after: "", limit: 3 });
    const rest = await store().groups.groupsOf({
      userId: owner,
      after: first.at(-1)?.conversationId ?? "",
      limit: 3,
    });
    assert.deepEqual(
      [...first, ...rest].map(({ conversationId }) => conversationId),
      ids.sort(),
    );
    assert.ok([...first, ...rest].every(({ role, name }) => role === "owner" && name === "the group"));
  });

  it("shows the presence of those only who have written there: anybody may be put into a group", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const id = await make(alice, [bob, carol]);
    const visible = async (userId: string, ...peerIds: string[]): Promise<string[]> => {
      const peers = peerIds.map((peerId) => ({ peerId, conversationId: direct(userId, peerId) }));
      return (await store().visiblePeers(userId, peers)).sort();
    };
    assert.deepEqual(await visible(alice, bob, carol), []);
    assert.deepEqual(await visible(bob, alice, carol), [alice], "who made it, wrote its first event");
    await say(bob, id);
    assert.deepEqual(await visible(alice, bob, carol), [bob]);
    await change(groupEvent(id, alice), 1, [alice, bob, carol], { removed: [bob] });
    assert.deepEqual(await visible(alice, bob, carol), []);
    assert.deepEqual(await visible(bob, alice), []);
  });
}
