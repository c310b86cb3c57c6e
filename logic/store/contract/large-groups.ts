// SPDX-License-Identifier: Apache-2.0
// Large groups: who has what in the inbox before, at and after the change that makes a group large.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { it } from "node:test";
import type { GroupChange, GroupMember } from "../groups.ts";
import { order } from "./changes.ts";
import { appended, type ContractStore, message, readAll, user } from "./fixture.ts";
import { groupEvent } from "./groups.ts";

const PAGE = { limit: 100, limitBytes: 1 << 20 };
const members = (userIds: readonly string[]): GroupMember[] => userIds.map((userId) => ({ userId, role: "member" }));

/** What the contracts of large groups do to a store. */
function largeKit(store: () => ContractStore) {
  const change = async (id: string, actor: string, version: number, what: Partial<GroupChange>) =>
    store().groups.change(
      { event: groupEvent(id, actor), version, removed: [], put: [], recipients: [actor], ...what },
      await store().ping(),
    );
  const say = async (id: string, sender: string, text: string) =>
    (await store().append([message({ sender, peer: "", conversationId: id, content: Buffer.from(text) })]))[0];
  const inboxOf = async (userId: string): Promise<number[]> =>
    (await readAll(store(), userId)).events.map(({ convSeq }) => convSeq);

  /** A group whose third message, the joining of carol, makes it large. */
  async function grown() {
    const [alice, bob, carol] = [user(), user(), user()];
    const id = `g_${randomUUID().replaceAll("-", "")}`;
    const put = [{ userId: alice, role: "owner" } as const, ...members([bob])];
    await change(id, alice, 0, { name: "n", put, recipients: [alice, bob] });
    appended(await say(id, bob, "small"));
    const event = await change(id, alice, 1, { put: members([carol]), recipients: [alice, bob, carol], grows: true });
    assert.equal(event?.convSeq, 3);
    return { id, alice, bob, carol };
  }

  return { change, say, inboxOf, grown };
}

/** Groups that are large, or become it. */
export function largeGroupContract(store: () => ContractStore): void {
  const { say, inboxOf, grown } = largeKit(store);

  it("put messages in no inbox but their senders', from the change on that makes them large", async () => {
    const { id, alice, bob, carol } = await grown();
    const stored = appended(await say(id, bob, "large"));
    assert.deepEqual(
      [stored.convSeq, stored.recipients.map(({ userId }) => userId), stored.largeVersion],
      [4, [bob], 2],
    );
    assert.deepEqual([await inboxOf(alice), await inboxOf(bob), await inboxOf(carol)], [[1, 2, 3], [1, 2, 3, 4], [3]]);
    const read = async (userId: string) =>
      (await store().readHistory({ userId, conversationId: id, direction: "forward", from: 0, ...PAGE }))?.events.map(
        ({ convSeq }) => convSeq,
      );
    assert.deepEqual([await read(alice), await read(carol), await read(user())], [[1, 2, 3, 4], [3, 4], undefined]);
    assert.equal((await say(id, user(), "stranger"))?.kind, "not-member");
  });

  it("answer a resend as before, also of a message from before they were large", async () => {
    const { id, bob } = await grown();
    const input = message({ sender: bob, peer: "", conversationId: id });
    const first = appended((await store().append([input]))[0]);
    const again = appended((await store().append([input]))[0]);
    assert.deepEqual([again.kind, again.convSeq, again.recipients], ["duplicate", first.convSeq, first.recipients]);
  });

  it("store a batch for large groups, small ones and pairs, each for those whom it is for", async () => {
    const { id, alice, bob } = await grown();
    const small = `g-${randomUUID()}`;
    await store().createConversation(small, [alice, bob]);
    const batch = [
      message({ sender: alice, peer: "", conversationId: id }),
      message({ sender: bob, peer: "", conversationId: id }),
      message({ sender: alice, peer: "", conversationId: small }),
      message({ sender: alice, peer: bob }),
    ];
    const results = (await store().append(batch)).map(appended);
    assert.deepEqual(
      results.map(({ convSeq, recipients, largeVersion }) => [convSeq, recipients.length, largeVersion]),
      [
        [4, 1, 2],
        [5, 1, 2],
        [1, 2, undefined],
        [1, 2, undefined],
      ],
    );
  });
}

/** Recalls, edits and cards in large groups. */
export function largeGroupMessageChangeContract(store: () => ContractStore): void {
  const { change, say, inboxOf, grown } = largeKit(store);
  const read = async (userId: string, id: string): Promise<string[]> => {
    const page = { userId, conversationId: id, direction: "forward", from: 2, ...PAGE } as const;
    const events = (await store().readHistory(page))?.events ?? [];
    return events.map(({ convSeq, contentType, content }) => `${convSeq} ${contentType} ${Buffer.from(content)}`);
  };

  it("tell of a recall and an edit in the inbox of who makes it, and the others where they read", async () => {
    const { id, alice, bob, carol } = await grown();
    const [first, second] = [appended(await say(id, bob, "one")), appended(await say(id, bob, "two"))];
    const edit = order({ kind: "edit", sender: bob, of: first, content: Buffer.from("uno") });
    const edited = await store().changes.change(edit);
    assert.ok(edited.kind === "changed");
    assert.deepEqual(edited.recipients, [{ userId: bob, inboxSeq: 6 }]);
    assert.deepEqual([edited.eventSeq, edited.largeVersion], [6, 2]);
    const recalled = await store().changes.change(order({ kind: "recall", sender: bob, of: second }));
    assert.ok(recalled.kind === "changed");
    assert.deepEqual([recalled.recipients.length, recalled.largeVersion], [1, 2]);
    assert.deepEqual([await inboxOf(alice), await inboxOf(carol)], [[1, 2, 3], [3]]);
    assert.deepEqual(await inboxOf(bob), [1, 2, 3, 4, 5, 6, 7]);
    const shown = (await read(carol, id)).slice(1);
    assert.deepEqual(shown.slice(0, 3), [
      "4 text/plain;im-version=2 uno",
      "5 im/recalled ",
      `6 im/change ${edit.eventBare}uno`,
    ]);
    assert.match(shown[3] ?? "", /^7 im\/change recall/);
    assert.deepEqual((await store().changes.change(edit)).kind, "duplicate");
  });

  it("tell of a message from before they were large in the same way, and refuse strangers as before", async () => {
    const { alice, bob, carol } = await grown();
    const [event] = (await readAll(store(), bob)).events.slice(1);
    assert.equal(event?.convSeq, 2);
    const of = { kind: "stored" as const, recipients: [], ...event };
    assert.deepEqual(await store().changes.change(order({ kind: "recall", sender: user(), of })), {
      kind: "refused",
      why: "not-member",
    });
    assert.deepEqual(await store().changes.change(order({ kind: "recall", sender: alice, of })), {
      kind: "refused",
      why: "not-yours",
    });
    assert.equal((await store().changes.change(order({ kind: "recall", sender: bob, of }))).kind, "changed");
    assert.deepEqual([await inboxOf(alice), await inboxOf(carol)], [[1, 2, 3], [3]]);
    assert.equal((await readAll(store(), alice)).events[1]?.contentType, "im/recalled");
  });

  it("tell of a card's new state, by a service, who put it there, or anybody when that one left", async () => {
    const { id, alice, bob } = await grown();
    const card = { ref: "item-1", version: 1 };
    const posted = message({ sender: bob, peer: "", conversationId: id, contentType: "im/card", card });
    const of = appended((await store().append([posted]))[0]);
    const update = (version: number) =>
      store().changes.change(order({ kind: "card", sender: "svc:shop", of, ref: "item-1", version }));
    const readers = async (version: number): Promise<string[]> => {
      const result = await update(version);
      assert.ok(result.kind === "changed" && result.largeVersion !== undefined, JSON.stringify(result));
      return result.recipients.map(({ userId }) => userId);
    };
    assert.deepEqual(await readers(2), [bob]);
    await change(id, alice, 2, { removed: [bob], recipients: [alice, bob] });
    const [reader, ...more] = await readers(3);
    assert.ok(reader !== bob && more.length === 0);
    assert.equal((await read(alice, id)).at(-1)?.slice(0, 16), "7 im/change card");
  });

  it("tell nobody of what its sender alone sees", async () => {
    const { id, bob, carol } = await grown();
    const hidden = message({ sender: bob, peer: "", conversationId: id, hidden: true });
    const of = appended((await store().append([hidden]))[0]);
    const result = await store().changes.change(order({ kind: "edit", sender: bob, of }));
    assert.ok(result.kind === "changed");
    assert.deepEqual([result.recipients.length, result.largeVersion], [1, undefined]);
    assert.deepEqual((await read(carol, id)).length, 1);
  });
}

/** Changes of large groups, and the lists that they are in. */
export function largeGroupListContract(store: () => ContractStore): void {
  const { change, say, inboxOf, grown } = largeKit(store);

  it("tell of changes those whom they are about, and are looked at in part", async () => {
    const { id, alice, bob, carol } = await grown();
    const dave = user();
    const event = await change(id, alice, 2, { put: members([dave]), recipients: [alice, dave] });
    assert.equal(event?.convSeq, 4);
    assert.deepEqual([await inboxOf(carol), await inboxOf(dave)], [[3], [4]]);
    const look = {
      actor: alice,
      requestId: randomUUID(),
      payloadHash: Buffer.alloc(32),
      groupId: id,
      userIds: [carol],
    };
    const { group } = await store().groups.look(look);
    assert.deepEqual([group?.version, group?.size, group?.isLarge], [3, 4, true]);
    assert.deepEqual([group?.roles.get(alice), group?.roles.get(carol)], ["owner", "member"]);
    const summary = (await store().groups.groupsOf({ userId: bob, after: "", limit: 10 }))[0];
    assert.deepEqual([summary?.large, summary?.memberCount, summary?.lastSeq], [true, 4, 4]);
    const audience = await store().groups.audience(id);
    assert.equal(audience?.version, 3);
    const joined = new Map(audience?.members.map((userId, at) => [userId, audience.joinedSeqs[at]]));
    assert.deepEqual([joined.get(bob), joined.get(carol), joined.get(dave)], [0, 2, 3]);
    assert.equal(await store().groups.audience(`g-${randomUUID()}`), undefined);
  });

  it("refuse who was removed, from then on", async () => {
    const { id, alice, bob } = await grown();
    await change(id, alice, 2, { removed: [bob], recipients: [alice, bob] });
    assert.equal((await say(id, bob, "late"))?.kind, "not-member");
    assert.deepEqual(await inboxOf(bob), [1, 2, 3, 4]);
  });

  it("are in the list of conversations, with what is unread, though their messages are in no inbox", async () => {
    const { id, alice, bob, carol } = await grown();
    for (const text of ["one", "two"]) await say(id, bob, text);
    const listed = async (userId: string) => {
      const { contacts } = await store().conversations.list({ userId, before: 0, ...PAGE });
      return contacts.map(({ conversationId, lastSeq, unread }) => [conversationId, lastSeq, unread]);
    };
    assert.deepEqual([await listed(alice), await listed(carol)], [[[id, 5, 2]], [[id, 5, 3]]]);
    assert.deepEqual(await listed(bob), [[id, 5, 0]], "once, though the last message is in its inbox");
    await store().conversations.change([{ userId: carol, conversationId: id, readSeq: 4 }]);
    assert.deepEqual(await listed(carol), [[id, 5, 1]]);
    const cursor = await store().conversations.changes({ userId: carol, sinceVersion: 0, sinceInboxSeq: 0, ...PAGE });
    await say(id, bob, "three");
    const next = await store().conversations.changes({
      ...{ userId: carol, sinceVersion: cursor.version, sinceInboxSeq: cursor.inboxSeq, ...PAGE },
    });
    assert.deepEqual(
      next.contacts.map(({ conversationId, lastSeq, unread }) => [conversationId, lastSeq, unread]),
      [[id, 6, 2]],
    );
    await store().conversations.change([{ userId: carol, conversationId: id, deletedToSeq: 6 }]);
    assert.deepEqual(await listed(carol), []);
  });
}
