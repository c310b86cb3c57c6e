// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { it } from "node:test";
import { CHANGE_TYPE, RECALLED_TYPE } from "../changes.ts";
import type { Contact } from "../conversation-store.ts";
import type { AppendInput, Store } from "../store.ts";
import { appended, type ContractStore, direct, message, readAll, user } from "./fixture.ts";

const BIG = 1 << 20;

/** Texts that a user finds by every way there is to read messages. */
export async function everythingReadBy(store: Store, userId: string, conversationId: string): Promise<string[]> {
  const { conversations } = store;
  const page = { userId, limit: 100, limitBytes: BIG };
  const events = [
    ...(await readAll(store, userId)).events,
    ...((await store.readHistory({ ...page, conversationId, direction: "backward", from: 0 }))?.events ?? []),
    ...((await store.readHistory({ ...page, conversationId, direction: "forward", from: 0 }))?.events ?? []),
    ...(await store.readHeads({ ...page, before: 0 })).heads.flatMap(({ event }) => event ?? []),
    ...(await conversations.list({ ...page, before: 0 })).contacts.flatMap(({ lastEvent }) => lastEvent ?? []),
    ...(await conversations.changes({ ...page, sinceVersion: 0, sinceInboxSeq: 0 })).contacts.flatMap(
      ({ lastEvent }) => lastEvent ?? [],
    ),
    ...(await conversations.find(userId, [conversationId], BIG)).contacts.flatMap(({ lastEvent }) => lastEvent ?? []),
  ];
  return [...new Set(events.map(({ content }) => Buffer.from(content).toString()))].sort();
}

const say = (sender: string, peer: string, text: string, more: Partial<AppendInput> = {}): AppendInput =>
  message({ sender, peer, content: Buffer.from(text), ...more });

/** Messages that are there for their sender alone. */
export function hiddenContract(store: () => ContractStore): void {
  const contact = async (userId: string, conversationId: string): Promise<Contact | undefined> =>
    (await store().conversations.find(userId, [conversationId], BIG)).contacts[0];
  const listed = async (userId: string): Promise<string[]> =>
    (await store().conversations.list({ userId, before: 0, limit: 50, limitBytes: BIG })).contacts.map(
      ({ conversationId }) => conversationId,
    );

  it("lets nobody but its sender read a hidden message, by whatever way", async () => {
    const [alice, bob] = [user(), user()];
    const id = direct(alice, bob);
    await store().append([say(alice, bob, "one"), say(alice, bob, "two", { hidden: true }), say(alice, bob, "three")]);
    const [last] = await store().append([say(alice, bob, "four", { hidden: true })]);
    assert.equal(appended(last).convSeq, 4);
    assert.deepEqual(
      appended(last).recipients.map(({ userId }) => userId),
      [alice],
    );
    assert.deepEqual(await everythingReadBy(store(), alice, id), ["four", "one", "three", "two"].sort());
    assert.deepEqual(await everythingReadBy(store(), bob, id), ["one", "three"]);
    const history = { userId: bob, conversationId: id, limit: 1, limitBytes: BIG } as const;
    const page = await store().readHistory({ ...history, direction: "backward", from: 0 });
    assert.deepEqual([page?.lastSeq, page?.firstSeq, page?.more, page?.events[0]?.convSeq], [3, 1, true, 3]);
    const end = await store().readHistory({ ...history, limit: 5, direction: "forward", from: 1 });
    assert.deepEqual([end?.events.map(({ convSeq }) => convSeq), end?.more], [[3], false]);
  });

  it("leaves the conversation where it was in the lists of others, with what they have to read", async () => {
    const [alice, bob] = [user(), user()];
    const id = direct(alice, bob);
    await store().append([say(alice, bob, "one"), say(alice, bob, "two")]);
    await store().append([say(alice, bob, "no", { hidden: true }), say(alice, bob, "no", { hidden: true })]);
    const theirs = await contact(bob, id);
    assert.deepEqual([theirs?.lastSeq, theirs?.unread, await listed(bob)], [2, 2, [id]]);
    const own = await contact(alice, id);
    assert.deepEqual([own?.lastSeq, own?.unread, await listed(alice)], [4, 0, [id]]);
    const [read] = await store().conversations.change([{ userId: bob, conversationId: id, readSeq: 9 }]);
    assert.equal(read?.kind === "changed" && read.state.readSeq, 2, "nobody reads what is not there");
    await store().append([say(alice, bob, "three")]);
    const after = await contact(bob, id);
    assert.deepEqual([after?.lastSeq, after?.unread, await listed(bob)], [5, 1, [id]]);
  });

  it("hides each from each where two senders are hidden", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const id = `g-${randomUUID()}`;
    await store().createConversation(id, [alice, bob, carol]);
    const post = (sender: string, text: string, hidden = false) =>
      say(sender, "", text, { conversationId: id, hidden });
    await store().append([post(carol, "all")]);
    await store().append([post(alice, "a", true)]);
    await store().append([post(bob, "b", true)]);
    assert.deepEqual(await everythingReadBy(store(), alice, id), ["a", "all"]);
    assert.deepEqual(await everythingReadBy(store(), bob, id), ["all", "b"]);
    assert.deepEqual(await everythingReadBy(store(), carol, id), ["all"]);
    const last = async (userId: string) => (await contact(userId, id))?.lastSeq;
    assert.deepEqual([await last(alice), await last(bob), await last(carol)], [2, 3, 1]);
    for (const userId of [alice, bob, carol]) assert.deepEqual(await listed(userId), [id]);
    const [stranger] = await store().append([say(user(), "", "x", { conversationId: id, hidden: true })]);
    assert.deepEqual(stranger, { kind: "not-member" });
  });
}

/** What else becomes of them, and of those that are not to be stored. */
export function hiddenChangeContract(store: () => ContractStore): void {
  it("counts hidden messages for nobody's presence, and pushes nobody", async () => {
    const [alice, bob] = [user(), user()];
    await store().append([say(alice, bob, "no", { hidden: true })]);
    const peers = [{ peerId: alice, conversationId: direct(alice, bob) }];
    assert.deepEqual(await store().visiblePeers(bob, peers), []);
    assert.equal((await readAll(store(), bob)).head, 0);
  });

  it("hides changes of a hidden message, and refuses those of others", async () => {
    const [alice, bob] = [user(), user()];
    const id = direct(alice, bob);
    const [, hidden] = await store().append([say(alice, bob, "one"), say(alice, bob, "two", { hidden: true })]);
    const { convSeq, messageId } = appended(hidden);
    const order = (sender: string) => ({
      ...{ kind: "recall" as const, sender, clientMessageId: randomUUID(), payloadHash: Buffer.alloc(32, 1) },
      ...{ conversationId: id, convSeq, messageId, baseVersion: 0, version: Number.MAX_SAFE_INTEGER, ref: "" },
      ...{ content: new Uint8Array(0), oldestMs: 0, eventId: randomUUID(), eventBare: Buffer.from("recalled") },
      ...{ eventTail: new Uint8Array(0), atMs: Date.now() },
    });
    assert.deepEqual(await store().changes.change(order(bob)), { kind: "refused", why: "no-message" });
    const changed = await store().changes.change(order(alice));
    assert.ok(changed.kind === "changed");
    assert.deepEqual(
      changed.recipients.map(({ userId }) => userId),
      [alice],
    );
    assert.deepEqual(await everythingReadBy(store(), bob, id), ["one"]);
    const types = (await readAll(store(), alice)).events.map(({ contentType }) => contentType);
    assert.deepEqual(types, ["text/plain", RECALLED_TYPE, CHANGE_TYPE]);
  });

  it("stores nothing of what is only looked up, and answers what is known", async () => {
    const [alice, bob] = [user(), user()];
    const known = say(alice, bob, "one");
    const [first] = await store().append([known]);
    const asked = (input: AppendInput): AppendInput => ({ ...input, messageId: randomUUID(), lookUpOnly: true });
    const unknown = asked(say(alice, bob, "two"));
    const [again, refused, other] = await store().append([
      asked(known),
      unknown,
      asked({ ...known, payloadHash: Buffer.alloc(32) }),
    ]);
    assert.deepEqual(
      [appended(again).kind, appended(again).messageId, refused],
      ["duplicate", appended(first).messageId, { kind: "refused" }],
    );
    assert.equal(other?.kind, "conflict");
    assert.deepEqual(await everythingReadBy(store(), bob, direct(alice, bob)), ["one"]);
  });
}
