// SPDX-License-Identifier: Apache-2.0
// What two people talk about: one conversation per subject, or one of the pair that says what was asked about last.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { it } from "node:test";
import type { Contact } from "../conversation-store.ts";
import { HOOK_SHARDS } from "../hooks.ts";
import type { AppendInput, AppendResult, Subject } from "../store.ts";
import { appended, type ContractStore, direct, message, user } from "./fixture.ts";
import { everythingReadBy } from "./hidden.ts";

const ROOM = 1 << 20;
const LAMP: Subject = { type: "item", id: "lamp" };
const BIKE: Subject = { type: "item", id: "bike" };

/** Any id that begins with the pair's and `_` will do. */
const about = (a: string, b: string, { type, id }: Subject): string => `${direct(a, b)}_${type}-${id}`;

function kitOf(store: () => ContractStore) {
  const perItem = (sender: string, peer: string, subject: Subject, more: Partial<AppendInput> = {}): AppendInput => {
    const place = { conversationId: about(sender, peer, subject), pairId: direct(sender, peer), subject };
    return message({ sender, peer, ...place, ...more });
  };
  const perPeer = (sender: string, peer: string, subject: Subject, more: Partial<AppendInput> = {}): AppendInput =>
    message({ sender, peer, subject, ...more });
  const send = async (input: AppendInput): Promise<AppendResult> => (await store().append([input]))[0] as AppendResult;
  const readers = (result: AppendResult): string[] =>
    appended(result)
      .recipients.map(({ userId }) => userId)
      .sort();
  const listed = async (userId: string): Promise<readonly Contact[]> =>
    (await store().conversations.list({ userId, before: 0, limit: 50, limitBytes: ROOM })).contacts;
  const subjects = async (userId: string): Promise<string[]> =>
    (await listed(userId)).map(({ peerId, subjectType, subjectId }) => [peerId, subjectType, subjectId].join(" "));
  const block = (userId: string, peerId: string, isOn: boolean) => {
    const peers = [{ peerId, conversationId: direct(userId, peerId) }];
    const change = isOn ? { block: peers, unblock: [] } : { block: [], unblock: peers };
    return store().blocks.change({ userId, ...change, atMs: Date.now() });
  };
  return { perItem, perPeer, send, readers, listed, subjects, block };
}

/** A conversation per subject. */
export function itemConversationContract(store: () => ContractStore): void {
  const { perItem, send, readers, listed, subjects } = kitOf(store);

  it("has a conversation per subject, each with its own numbers, beside the one about nothing", async () => {
    const [alice, bob] = [user(), user()];
    const [first, second, other, bare] = await store().append([
      perItem(alice, bob, LAMP),
      perItem(bob, alice, LAMP),
      perItem(alice, bob, BIKE),
      message({ sender: alice, peer: bob }),
    ]);
    assert.deepEqual(
      [first, second, other, bare].map((result) => [appended(result).conversationId, appended(result).convSeq]),
      [
        [about(alice, bob, LAMP), 1],
        [about(bob, alice, LAMP), 2],
        [about(alice, bob, BIKE), 1],
        [direct(alice, bob), 1],
      ],
    );
    assert.deepEqual(await subjects(bob), [`${alice}  `, `${alice} item bike`, `${alice} item lamp`]);
    assert.deepEqual((await subjects(alice)).sort(), [`${bob}  `, `${bob} item bike`, `${bob} item lamp`]);
  });

  it("lets both write by its id, and nobody else read or find it, or the pair's that nobody has written in", async () => {
    const [alice, bob, eve] = [user(), user(), user()];
    const conversationId = about(alice, bob, LAMP);
    await send(perItem(alice, bob, LAMP));
    assert.deepEqual(readers(await send(message({ sender: bob, peer: "", conversationId }))), [alice, bob].sort());
    assert.deepEqual(await send(message({ sender: eve, peer: "", conversationId })), { kind: "not-member" });
    assert.deepEqual(await everythingReadBy(store(), eve, conversationId), []);
    for (const userId of [alice, bob, eve]) {
      const found = await store().conversations.find(userId, [conversationId, direct(alice, bob)], ROOM);
      assert.deepEqual(
        found.contacts.map(({ conversationId: id, subjectId }) => [id, subjectId]),
        userId === eve ? [] : [[conversationId, "lamp"]],
      );
    }
    const bare = message({ sender: bob, peer: "", conversationId: direct(alice, bob) });
    assert.deepEqual(await send(bare), { kind: "not-member" });
  });

  it("answers a resend with the first one's place, and the same key elsewhere is a conflict", async () => {
    const [alice, bob] = [user(), user()];
    const input = perItem(alice, bob, LAMP);
    const { messageId } = appended(await send(input));
    const again = appended(await send({ ...input, messageId: randomUUID() }));
    assert.deepEqual([again.kind, again.messageId, again.convSeq], ["duplicate", messageId, 1]);
    const { clientMessageId } = input;
    assert.deepEqual(await send(perItem(alice, bob, BIKE, { clientMessageId })), { kind: "conflict", messageId });
    assert.equal((await listed(alice)).length, 1);
  });

  it("comes to a list that asks what changed, with its subject", async () => {
    const [alice, bob] = [user(), user()];
    const { version, inboxSeq } = await store().conversations.list({ userId: bob, before: 0, limit: 9, limitBytes: 0 });
    await send(perItem(alice, bob, LAMP));
    const since = { sinceVersion: version, sinceInboxSeq: inboxSeq, limit: 9, limitBytes: ROOM };
    const { contacts } = await store().conversations.changes({ userId: bob, ...since });
    assert.deepEqual(
      contacts.map(({ conversationId, peerId, subjectId }) => [conversationId, peerId, subjectId]),
      [[about(alice, bob, LAMP), alice, "lamp"]],
    );
  });
}

/** Blocks, rules and presence are of people, whatever they talk about. */
export function itemPeopleContract(store: () => ContractStore): void {
  const { perItem, send, readers, subjects, block } = kitOf(store);

  it("hides what a blocked one writes about anything, old or new, until it is unblocked", async () => {
    const [alice, bob] = [user(), user()];
    assert.deepEqual(readers(await send(perItem(alice, bob, LAMP))), [alice, bob].sort());
    await block(bob, alice, true);
    assert.deepEqual(readers(await send(perItem(alice, bob, LAMP))), [alice], "the one that was there");
    assert.deepEqual(readers(await send(perItem(alice, bob, BIKE))), [alice], "a new one");
    const conversationId = about(alice, bob, BIKE);
    assert.deepEqual(readers(await send(message({ sender: alice, peer: "", conversationId }))), [alice], "by its id");
    assert.deepEqual(await send(perItem(bob, alice, BIKE)), { kind: "blocks-peer" });
    assert.deepEqual(await subjects(bob), [`${alice} item lamp`]);
    assert.deepEqual((await subjects(alice)).sort(), [`${bob} item bike`, `${bob} item lamp`]);
    await block(bob, alice, false);
    for (const subject of [LAMP, BIKE])
      assert.deepEqual(readers(await send(perItem(alice, bob, subject))), [alice, bob].sort());
    assert.deepEqual((await subjects(bob)).sort(), [`${alice} item bike`, `${alice} item lamp`]);
  });

  it("knows a pair that has only talked about things: who has answered, how much was written, who may be seen", async () => {
    const [alice, bob] = [user(), user()];
    const conversationId = direct(alice, bob);
    const facts = async (userId: string) => (await store().policy.facts([{ userId, conversationId }]))[0];
    const sees = (userId: string, peerId: string) => store().visiblePeers(userId, [{ peerId, conversationId }]);
    await store().append([perItem(alice, bob, LAMP), perItem(alice, bob, BIKE), message({ sender: alice, peer: bob })]);
    assert.deepEqual(await facts(alice), { isAnswered: false, ownMessages: 3, hasOrder: false });
    assert.deepEqual([await sees(alice, bob), await sees(bob, alice)], [[], [alice]]);
    await send(perItem(bob, alice, BIKE, { hidden: true }));
    assert.deepEqual([(await facts(alice))?.isAnswered, await sees(alice, bob)], [false, []]);
    await send(perItem(bob, alice, BIKE));
    assert.deepEqual([(await facts(alice))?.isAnswered, await sees(alice, bob)], [true, [bob]]);
    const stranger = user();
    assert.deepEqual(
      await store().visiblePeers(stranger, [{ peerId: bob, conversationId: direct(stranger, bob) }]),
      [],
    );
  });
}

/** A pair has so many conversations about something, and no more. */
export function boundedConversationContract(store: () => ContractStore): void {
  const { perItem, send, readers, subjects, block } = kitOf(store);
  const MOST = 3;
  const item = (id: string): Subject => ({ type: "item", id });
  const bounded = (sender: string, peer: string, id: string, more: Partial<AppendInput> = {}): AppendInput =>
    perItem(sender, peer, item(id), { maxOfPair: MOST, ...more });
  const kinds = (results: readonly AppendResult[]): string[] => results.map(({ kind }) => kind);

  it("refuses what would begin one too many, whichever of the two begins it, alone and in a batch", async () => {
    const [alice, bob] = [user(), user()];
    assert.equal((await send(bounded(alice, bob, "0"))).kind, "stored");
    const batch = [
      bounded(alice, bob, "1"),
      bounded(bob, alice, "2"),
      bounded(alice, bob, "3"),
      bounded(bob, alice, "1"),
    ];
    assert.deepEqual(kinds(await store().append(batch)), ["stored", "stored", "pair-full", "stored"]);
    assert.deepEqual(await send(bounded(bob, alice, "4")), { kind: "pair-full" });
    assert.deepEqual(
      (await subjects(bob)).sort(),
      ["0", "1", "2"].map((id) => `${alice} item ${id}`),
    );
  });

  it("keeps open what is there, the one about nothing, and everybody else's", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    for (const id of ["0", "1", "2", "3"]) await send(bounded(alice, bob, id));
    const others = [bounded(bob, alice, "2"), message({ sender: alice, peer: bob }), bounded(alice, carol, "3")];
    assert.deepEqual(kinds(await store().append(others)), ["stored", "stored", "stored"]);
    const byId = message({ sender: bob, peer: "", conversationId: about(alice, bob, item("0")) });
    assert.equal((await send(byId)).kind, "stored");
  });

  it("answers a resend with the first one's place, and what was refused is as if it had never been sent", async () => {
    const [alice, bob] = [user(), user()];
    const stored = message({ sender: alice, peer: bob });
    await send(stored);
    for (const id of ["0", "1", "2"]) await send(bounded(alice, bob, id));
    // As it was stored in the pair's one, where the policy of then put it.
    const { sender, clientMessageId, payloadHash } = stored;
    const again = appended(await send(bounded(alice, bob, "3", { clientMessageId, payloadHash })));
    assert.deepEqual([again.kind, again.messageId], ["duplicate", stored.messageId]);
    const refused = bounded(alice, bob, "4");
    assert.deepEqual([await send(refused), await send(refused)], [{ kind: "pair-full" }, { kind: "pair-full" }]);
    const looked = await send({ ...refused, lookUpOnly: true });
    assert.deepEqual(looked, { kind: "refused" });
    assert.equal((await send({ ...refused, maxOfPair: MOST + 1 })).kind, "stored", `${sender} has room again`);
  });

  it("tells a blocked one no more than anybody else", async () => {
    const [alice, bob] = [user(), user()];
    await block(bob, alice, true);
    for (const id of ["0", "1", "2"]) assert.deepEqual(readers(await send(bounded(alice, bob, id))), [alice]);
    assert.deepEqual(await send(bounded(alice, bob, "3")), { kind: "pair-full" });
    assert.deepEqual(readers(await send(bounded(alice, bob, "2"))), [alice]);
  });
}

/** One conversation of the pair. */
export function peerConversationContract(store: () => ContractStore): void {
  const { perPeer, send, subjects, block } = kitOf(store);

  it("says what was asked about last, whoever asked, and a message about nothing leaves it", async () => {
    const [alice, bob] = [user(), user()];
    const results = await store().append([perPeer(alice, bob, LAMP), perPeer(alice, bob, BIKE)]);
    assert.deepEqual(
      results.map((result) => [appended(result).conversationId, appended(result).convSeq]),
      [
        [direct(alice, bob), 1],
        [direct(alice, bob), 2],
      ],
    );
    assert.deepEqual(await subjects(alice), [`${bob} item bike`]);
    await send(message({ sender: bob, peer: alice }));
    assert.deepEqual(await subjects(bob), [`${alice} item bike`]);
    await send(perPeer(bob, alice, { type: "order", id: "o-1" }));
    assert.deepEqual([await subjects(alice), await subjects(bob)], [[`${bob} order o-1`], [`${alice} order o-1`]]);
  });

  it("shows what a message asked about to those alone who have the message", async () => {
    const [alice, bob] = [user(), user()];
    await send(perPeer(alice, bob, LAMP));
    await send(perPeer(alice, bob, BIKE, { hidden: true }));
    assert.deepEqual([await subjects(alice), await subjects(bob)], [[`${bob} item bike`], [`${alice} item lamp`]]);
    await send(perPeer(bob, alice, LAMP));
    assert.deepEqual(await subjects(alice), [`${bob} item lamp`]);
    await block(bob, alice, true);
    await send(perPeer(alice, bob, BIKE));
    assert.deepEqual([await subjects(alice), await subjects(bob)], [[`${bob} item bike`], [`${alice} item lamp`]]);
    await block(bob, alice, false);
    await send(perPeer(alice, bob, BIKE));
    assert.deepEqual([await subjects(alice), await subjects(bob)], [[`${bob} item bike`], [`${alice} item bike`]]);
  });

  it("says nothing for what was not stored", async () => {
    const [alice, bob] = [user(), user()];
    const first = perPeer(alice, bob, LAMP);
    await send(first);
    await send(perPeer(alice, bob, BIKE, { lookUpOnly: true }));
    await send(perPeer(bob, alice, BIKE));
    assert.equal((await send(first)).kind, "duplicate");
    assert.deepEqual(await subjects(alice), [`${bob} item bike`]);
  });
}

/** What others than lists are told: pushes and webhooks. */
export function toldSubjectContract(store: () => ContractStore): void {
  const { perItem, perPeer, send } = kitOf(store);
  const named = (subject: Subject | undefined): string => `${subject?.type} ${subject?.id}`;
  const pushed = async (userId: string, inboxSeq: number): Promise<string> =>
    named((await store().pushStore.readSubjects([{ userId, inboxSeq }]))[0]?.subject);

  it("tells pushes which item a message is about", async () => {
    const [alice, bob] = [user(), user()];
    await store().append([perItem(alice, bob, LAMP), perItem(alice, bob, BIKE), message({ sender: alice, peer: bob })]);
    assert.deepEqual(
      [await pushed(bob, 1), await pushed(bob, 2), await pushed(bob, 3)],
      ["item lamp", "item bike", "undefined undefined"],
    );
    const conversationId = about(alice, bob, LAMP);
    await send(message({ sender: bob, peer: "", conversationId }));
    assert.equal(await pushed(alice, 4), "item lamp", "of a message that names none");
  });

  it("tells pushes of a pair's only conversation what their user sees it to be about", async () => {
    const [alice, bob] = [user(), user()];
    await send(perPeer(alice, bob, LAMP));
    await send(perPeer(alice, bob, BIKE, { hidden: true }));
    assert.deepEqual([await pushed(alice, 1), await pushed(bob, 1)], ["item bike", "item lamp"]);
  });

  it("tells webhooks what both see a conversation to be about", async () => {
    const [alice, bob] = [user(), user()];
    while ((await store().hooks.collect(100)) !== 0);
    const hook = `hook-${randomUUID()}`;
    await store().hooks.register([hook]);
    store().hooks.wantMessages(true);
    try {
      const item = perItem(alice, bob, LAMP);
      const [seen, hidden] = [perPeer(alice, bob, LAMP), perPeer(alice, bob, BIKE, { hidden: true })];
      for (const input of [item, seen, hidden]) await send(input);
      while ((await store().hooks.collect(100)) !== 0);
      const claims = await store().hooks.claim({ hooks: [hook], leaseMs: 60_000, limit: HOOK_SHARDS });
      const pages = await Promise.all(
        claims.map(({ shard, position }) =>
          store().hooks.read({ shard, after: position, limit: 50, withContent: false }),
        ),
      );
      const told = new Map(pages.flat().map(({ id, message: of }) => [id, named(of?.stored?.subject)]));
      assert.deepEqual(
        [item, seen, hidden].map(({ messageId }) => told.get(messageId)),
        ["item lamp", "item lamp", "item lamp"],
      );
    } finally {
      store().hooks.wantMessages(false);
    }
  });
}
