// SPDX-License-Identifier: Apache-2.0
// What users keep of their conversations, and the lists of them.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { it } from "node:test";
import {
  CONTACTS_WINDOW,
  type Contact,
  type ContactPage,
  type ConversationState,
  EXACT_UNREAD,
  MAX_PINNED,
  type StateChange,
  type StateResult,
} from "../conversation-store.ts";
import { eventBytes } from "../store.ts";
import { type ContractStore, direct, message, user } from "./fixture.ts";

const ROOM = 1 << 20;

type Kit = ReturnType<typeof kitOf>;

function kitOf(store: () => ContractStore) {
  const states = () => store().conversations;
  return {
    states,
    /** A message, or several; the id of the conversation. */
    async write(sender: string, peer: string, count = 1): Promise<string> {
      await store().append(Array.from({ length: count }, () => message({ sender, peer })));
      return direct(sender, peer);
    },
    async writeTo(sender: string, conversationId: string): Promise<void> {
      await store().append([message({ sender, peer: "", conversationId })]);
    },
    async change(userId: string, conversationId: string, change: Partial<StateChange>): Promise<StateResult> {
      const [result] = await states().change([{ userId, conversationId, ...change }]);
      assert.ok(result);
      return result;
    },
    list: (userId: string, before = 0, limit = 100): Promise<ContactPage> =>
      states().list({ userId, before, limit, limitBytes: ROOM }),
    since: (userId: string, { version, inboxSeq }: Pick<ContactPage, "version" | "inboxSeq">, limit = 100) =>
      states().changes({ userId, sinceVersion: version, sinceInboxSeq: inboxSeq, limit, limitBytes: ROOM }),
    async contact(userId: string, conversationId: string): Promise<Contact> {
      const { contacts } = await states().find(userId, [conversationId], ROOM);
      assert.equal(contacts.length, 1, "no such contact");
      return contacts[0] as Contact;
    },
  };
}

/** The state that a change led to. */
function stateOf(result: StateResult, kind: "changed" | "unchanged" = "changed"): ConversationState {
  assert.ok(result.kind === kind, JSON.stringify(result));
  return result.state;
}

const ids = ({ contacts }: ContactPage): string[] => contacts.map(({ conversationId }) => conversationId);

/** Reading, pinning, muting, archiving, deleting. */
export function conversationStateContract(store: () => ContractStore): void {
  const kit: Kit = kitOf(store);

  it("reading moves forward only, never past the last message, and tells the peer", async () => {
    const [alice, bob] = [user(), user()];
    const id = await kit.write(alice, bob, 5);
    const read = await kit.change(bob, id, { readSeq: 3 });
    assert.deepEqual([stateOf(read).readSeq, stateOf(read).version], [3, 1]);
    assert.deepEqual(read.kind === "changed" && read.peer, { userId: alice, version: 1 });
    for (const readSeq of [3, 1, 0]) {
      const again = await kit.change(bob, id, { readSeq });
      assert.deepEqual([stateOf(again, "unchanged").readSeq, stateOf(again, "unchanged").version], [3, 1]);
      assert.equal("peer" in again, false);
    }
    assert.equal(stateOf(await kit.change(bob, id, { readSeq: 1_000_000 })).readSeq, 5);
    const [ofAlice, ofBob] = [await kit.contact(alice, id), await kit.contact(bob, id)];
    assert.deepEqual([ofAlice.peerReadSeq, ofAlice.state.readSeq, ofAlice.state.version], [5, 0, 2]);
    assert.deepEqual([ofBob.peerReadSeq, ofBob.state.readSeq, ofBob.unread], [0, 5, 0]);
    assert.deepEqual([ofAlice.peerId, ofBob.peerId], [bob, alice]);
  });

  it("pins, mutes and archives each by itself, under one version per change that changes something", async () => {
    const [alice, bob] = [user(), user()];
    const id = await kit.write(bob, alice);
    const steps: [Partial<StateChange>, Partial<ConversationState>][] = [
      [{ pinned: true }, { pinned: true, version: 1 }],
      [{ mutedUntilMs: Number.MAX_SAFE_INTEGER }, { pinned: true, mutedUntilMs: Number.MAX_SAFE_INTEGER, version: 2 }],
      [
        { archived: true, pinned: false },
        { pinned: false, archived: true, version: 3 },
      ],
      [{ mutedUntilMs: 0 }, { archived: true, mutedUntilMs: 0, version: 4 }],
      [
        { archived: false, readSeq: 1 },
        { archived: false, readSeq: 1, version: 5 },
      ],
    ];
    for (const [change, expected] of steps) {
      const state = stateOf(await kit.change(alice, id, change));
      for (const [key, value] of Object.entries(expected))
        assert.equal(state[key as keyof ConversationState], value, key);
      assert.deepEqual(stateOf(await kit.change(alice, id, change), "unchanged"), state);
    }
    assert.equal((await kit.contact(alice, id)).state.version, 5);
  });

  it("answers who is no member as if there were no such conversation, and changes nothing", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const id = await kit.write(alice, bob);
    const group = `g-${randomUUID()}`;
    await store().createConversation(group, [alice]);
    for (const conversationId of [id, group, "no such conversation"]) {
      assert.deepEqual(await kit.change(carol, conversationId, { pinned: true, readSeq: 1 }), { kind: "denied" });
      assert.deepEqual(await kit.states().members([{ userId: carol, conversationId }], 10), [undefined]);
      assert.equal(await kit.states().receipts(carol, conversationId, 10), undefined);
    }
    assert.deepEqual(ids(await kit.states().find(carol, [id, group, "no such conversation"], ROOM)), []);
    assert.deepEqual(await kit.since(carol, { version: 0, inboxSeq: 0 }), await kit.list(carol));
    assert.equal((await kit.contact(bob, id)).state.version, 0);
  });
}

/** Several changes at once, and how many may be pinned. */
export function conversationBatchContract(store: () => ContractStore): void {
  const kit: Kit = kitOf(store);

  it("takes the changes of a batch in their order, also those of one user and of both sides", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const [ab, ac] = [await kit.write(alice, bob, 4), await kit.write(carol, alice, 2)];
    const results = await kit.states().change([
      { userId: bob, conversationId: ab, readSeq: 2 },
      { userId: alice, conversationId: ab, readSeq: 4 },
      { userId: bob, conversationId: ac, readSeq: 1 },
      { userId: bob, conversationId: ab, readSeq: 3 },
      { userId: alice, conversationId: ac, pinned: true, deletedToSeq: 9 },
      { userId: bob, conversationId: ab, readSeq: 1 },
    ]);
    assert.deepEqual(
      results.map((result) =>
        "state" in result ? [result.kind, result.state.readSeq, result.state.version] : result.kind,
      ),
      [["changed", 2, 1], ["changed", 4, 2], "denied", ["changed", 3, 3], ["changed", 0, 4], ["unchanged", 3, 3]],
    );
    const { contacts, version } = await kit.list(alice);
    assert.equal(version, 4);
    assert.deepEqual(
      contacts.map(({ conversationId, peerReadSeq, state }) => [conversationId, peerReadSeq, state.deletedToSeq]),
      [
        [ac, 0, 2],
        [ab, 3, 0],
      ],
    );
    assert.deepEqual(await kit.states().change([]), []);
  });

  it("pins no more than a hundred, and takes the place of one that is taken back", async () => {
    const alice = user();
    const peers = Array.from({ length: MAX_PINNED + 1 }, user);
    await store().append(peers.map((peer) => message({ sender: peer, peer: alice })));
    const pins = peers.map((peer) => ({ userId: alice, conversationId: direct(alice, peer), pinned: true }));
    for (let at = 0; at < MAX_PINNED; at += 50)
      for (const result of await kit.states().change(pins.slice(at, at + 50))) assert.equal(result.kind, "changed");
    const [last] = pins.slice(-1);
    assert.ok(last);
    assert.deepEqual(await kit.states().change([last]), [{ kind: "too-many-pinned" }]);
    assert.equal((await kit.contact(alice, last.conversationId)).state.version, 0);
    await kit.states().change([{ userId: alice, conversationId: pins[0]?.conversationId ?? "", pinned: false }]);
    assert.equal((await kit.states().change([last]))[0]?.kind, "changed");
    assert.equal((await kit.list(alice, 0, 1)).contacts.length, MAX_PINNED + 1);
  });
}

/** What is deleted is in no history, no snapshot and no list. */
export function conversationDeleteContract(store: () => ContractStore): void {
  const kit: Kit = kitOf(store);
  const history = (userId: string, conversationId: string, direction: "backward" | "forward" = "backward") =>
    store().readHistory({ userId, conversationId, direction, from: 0, limit: 100, limitBytes: ROOM });
  const snapshot = async (userId: string): Promise<string[]> => {
    const { heads } = await store().readHeads({ userId, before: 0, limit: 100, limitBytes: ROOM });
    return heads.map(({ conversationId }) => conversationId);
  };

  it("hides what a user deleted from that user alone, until something is written", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const id = await kit.write(alice, bob, 4);
    const other = await kit.write(carol, bob);
    assert.equal(stateOf(await kit.change(bob, id, { deletedToSeq: 2 })).deletedToSeq, 2);
    for (const direction of ["backward", "forward"] as const) {
      const page = await history(bob, id, direction);
      assert.deepEqual([page?.events.map(({ convSeq }) => convSeq), page?.firstSeq, page?.lastSeq], [[3, 4], 3, 4]);
    }
    assert.deepEqual((await kit.contact(bob, id)).unread, 2);
    assert.deepEqual(await snapshot(bob), [other, id]);
    stateOf(await kit.change(bob, id, { deletedToSeq: 99 }));
    const nothing = await history(bob, id);
    assert.deepEqual(nothing, { events: [], lastSeq: 4, firstSeq: 5, more: false });
    assert.deepEqual(await snapshot(bob), [other]);
    assert.deepEqual(ids(await kit.list(bob)), [other]);
    const { unread, lastEvent, lastSeq } = await kit.contact(bob, id);
    assert.deepEqual([unread, lastEvent, lastSeq], [0, undefined, 4]);
    assert.equal((await history(alice, id))?.events.length, 4);
    assert.deepEqual(ids(await kit.list(alice)), [id]);
    await kit.write(alice, bob);
    assert.deepEqual(ids(await kit.list(bob)), [id, other]);
    assert.deepEqual(await snapshot(bob), [id, other]);
    assert.deepEqual(
      (await history(bob, id))?.events.map(({ convSeq }) => convSeq),
      [5],
    );
  });

  it("tells other devices of a deleted conversation as of any change", async () => {
    const [alice, bob] = [user(), user()];
    const id = await kit.write(alice, bob, 2);
    const cursor = await kit.list(bob);
    await kit.change(bob, id, { deletedToSeq: 2 });
    const { contacts, more } = await kit.since(bob, cursor);
    assert.deepEqual(
      contacts.map(({ lastSeq, state }) => [lastSeq, state.deletedToSeq]),
      [[2, 2]],
    );
    assert.equal(more, false);
  });
}

/** CONTACTS: the list. */
export function contactListContract(store: () => ContractStore): void {
  const kit: Kit = kitOf(store);

  it("lists by the last activity, each conversation once on pages of any size, pinned ones on the first", async () => {
    const bob = user();
    const peers = Array.from({ length: 8 }, user);
    for (const index of [0, 1, 2, 3, 4, 5, 6, 7, 2, 0, 5, 5, 1, 6, 0, 3, 3, 1, 0, 2])
      await kit.write(index % 2 === 0 ? (peers[index] ?? "") : bob, index % 2 === 0 ? bob : (peers[index] ?? ""));
    const order = [2, 0, 1, 3, 6, 5, 7, 4].map((index) => direct(bob, peers[index] ?? ""));
    const whole = await kit.list(bob);
    assert.deepEqual([ids(whole), whole.nextBefore, whole.inboxSeq, whole.version], [order, 0, 20, 0]);
    assert.equal(whole.epoch, store().epoch);
    const pinned = [order[5] ?? "", order[1] ?? ""].sort();
    for (const conversationId of pinned) await kit.change(bob, conversationId, { pinned: true });
    await kit.change(bob, order[0] ?? "", { archived: true });
    const others = order.filter((id) => !pinned.includes(id));
    for (const limit of [1, 2, 3, 6, 7]) {
      const pages: string[][] = [];
      for (let before = 0, isEnd = false; !isEnd; isEnd = before === 0) {
        const page = await kit.list(bob, before, limit);
        pages.push(ids(page));
        before = page.nextBefore;
        assert.ok(pages.length < 20, "the pages have no end");
      }
      assert.deepEqual(pages[0]?.slice(0, 2), pinned);
      assert.deepEqual(pages.flat().slice(2), others);
    }
    const nobody = user();
    const empty = { epoch: store().epoch, contacts: [], version: 0, inboxSeq: 0, nextBefore: 0, more: false };
    assert.deepEqual(await kit.list(nobody), empty);
  });

  it("shows the last message, and says when it does not fit", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const big = message({ sender: alice, peer: bob, content: Buffer.alloc(5000, "x") });
    await store().append([big, message({ sender: carol, peer: bob, content: Buffer.from("") })]);
    const [last, first] = (await kit.list(bob)).contacts;
    assert.ok(last?.lastEvent && first?.lastEvent);
    assert.deepEqual([last.lastEvent.sender, last.lastEvent.content.length, last.lastEvent.inboxSeq], [carol, 0, 0]);
    assert.equal(first.lastEvent.messageId, big.messageId);
    assert.deepEqual([first.lastAtMs, first.lastSeq], [big.sentAtMs, 1]);
    assert.equal(Buffer.compare(first.lastEvent.content, big.content), 0);
    const room = eventBytes(last.lastEvent) + eventBytes(first.lastEvent);
    for (const [limitBytes, shown] of [
      [room, [true, true]],
      [room - 1, [true, false]],
      [0, [false, false]],
    ] as const) {
      const { contacts } = await kit.states().list({ userId: bob, before: 0, limit: 10, limitBytes });
      assert.deepEqual(
        contacts.map(({ lastEvent }) => lastEvent !== undefined),
        shown,
      );
      assert.deepEqual(
        contacts.map(({ lastAtMs }) => lastAtMs),
        [last.lastAtMs, first.lastAtMs],
      );
    }
  });

  it("counts as unread what came behind what was read, written or deleted, exactly up to a hundred", async () => {
    const [alice, bob] = [user(), user()];
    const unread = async (): Promise<number> => (await kit.contact(bob, direct(alice, bob))).unread;
    const id = await kit.write(alice, bob, 3);
    assert.equal(await unread(), 3);
    await kit.write(bob, alice);
    assert.equal(await unread(), 0, "who writes has read");
    await kit.write(alice, bob, 2);
    assert.equal(await unread(), 2);
    await kit.change(bob, id, { readSeq: 5 });
    assert.equal(await unread(), 1);
    await kit.change(bob, id, { readSeq: 6 });
    await kit.write(bob, alice);
    await kit.write(alice, bob, EXACT_UNREAD - 1);
    assert.equal(await unread(), EXACT_UNREAD - 1);
    await kit.write(alice, bob, 1);
    assert.ok((await unread()) >= EXACT_UNREAD, "beyond it never too low");
    assert.equal((await kit.contact(alice, id)).unread, 0, "what bob wrote before alice did last is read");
  });
}

/** Messages about messages. */
export function changedContactContract(store: () => ContractStore): void {
  const kit: Kit = kitOf(store);

  it("counts and shows no message that says what became of an earlier one", async () => {
    const [alice, bob] = [user(), user()];
    const id = await kit.write(alice, bob, 2);
    const say = (sender: string, contentType: string): Promise<unknown> =>
      store().append([message({ sender, peer: sender === alice ? bob : alice, contentType })]);
    const seen = async (userId: string) => {
      const { unread, lastSeq, lastEvent } = await kit.contact(userId, id);
      return [lastSeq, unread, lastEvent?.convSeq];
    };
    await say(alice, "im/change");
    assert.deepEqual(await seen(bob), [3, 2, 2]);
    await say(bob, "im/change");
    assert.deepEqual(await seen(bob), [4, 2, 2], "who changes a message has not read the others");
    assert.deepEqual(await seen(alice), [4, 0, 2]);
    await say(alice, "im/recalled");
    await say(alice, "im/card");
    assert.deepEqual(await seen(bob), [6, 3, 6]);
    await kit.change(bob, id, { readSeq: 4 });
    assert.deepEqual(await seen(bob), [6, 1, 6]);
    await kit.change(bob, id, { deletedToSeq: 6 });
    await say(alice, "im/change");
    assert.deepEqual(await seen(bob), [7, 0, undefined]);
  });
}

/** CONTACTS in an inbox that one conversation fills. */
export function busyContactContract(store: () => ContractStore): void {
  const kit: Kit = kitOf(store);

  it("finds conversations behind a busy one, in the list and among the changes", async () => {
    const [alice, bob, carol, dave] = [user(), user(), user(), user()];
    const [early, busy] = [await kit.write(carol, bob), direct(alice, bob)];
    for (let at = 0; at < CONTACTS_WINDOW + 100; at += 350) await kit.write(alice, bob, 350);
    const late = await kit.write(bob, dave);
    const walk = async (limit: number): Promise<string[]> => {
      const seen: string[] = [];
      for (let before = 0, pages = 0, isEnd = false; !isEnd; isEnd = before === 0) {
        const page = await kit.list(bob, before, limit);
        seen.push(...ids(page));
        before = page.nextBefore;
        assert.ok(++pages < 20, "the pages have no end");
      }
      return seen;
    };
    for (const limit of [1, 2, 50]) assert.deepEqual(await walk(limit), [late, busy, early]);
    const seen = new Set<string>();
    let cursor = { version: 0, inboxSeq: 0 };
    for (let more = true; more; ) {
      const page = await kit.since(bob, cursor, 2);
      for (const id of ids(page)) seen.add(id);
      [cursor, more] = [page, page.more];
    }
    assert.deepEqual([...seen].sort(), [late, busy, early].sort());
  });
}

/** CONTACTS: what changed, and groups. */
export function contactChangesContract(store: () => ContractStore): void {
  const kit: Kit = kitOf(store);

  it("tells what changed since a cursor once, in parts of any size, and skips nothing", async () => {
    const bob = user();
    const peers = Array.from({ length: 6 }, user);
    for (const peer of peers) await kit.write(peer, bob);
    const start = await kit.list(bob);
    assert.deepEqual(ids(await kit.since(bob, start)), []);
    const id = (index: number): string => direct(bob, peers[index] ?? "");
    await kit.change(bob, id(0), { pinned: true });
    await kit.change(bob, id(1), { archived: true });
    await kit.change(peers[2] ?? "", id(2), { readSeq: 1 });
    await kit.change(bob, id(0), { pinned: false });
    await kit.write(peers[3] ?? "", bob);
    const newcomer = await kit.write(user(), bob);
    await kit.write(peers[3] ?? "", bob);
    for (const limit of [1, 2, 3, 50]) {
      const seen = new Map<string, Contact>();
      let cursor: Pick<ContactPage, "version" | "inboxSeq"> = start;
      for (let more = true, parts = 0; more; parts++) {
        const page = await kit.since(bob, cursor, limit);
        for (const contact of page.contacts) seen.set(contact.conversationId, contact);
        cursor = page;
        more = page.more;
        assert.ok(parts < 20, "the parts have no end");
      }
      assert.deepEqual([...seen.keys()].sort(), [id(0), id(1), id(2), id(3), newcomer].sort());
      assert.deepEqual([seen.get(id(0))?.state.pinned, seen.get(id(1))?.state.archived], [false, true]);
      assert.deepEqual([seen.get(id(2))?.state.version, seen.get(id(3))?.lastSeq], [3, 3]);
      const end = await kit.list(bob);
      assert.deepEqual([cursor.version, cursor.inboxSeq], [end.version, end.inboxSeq]);
      assert.deepEqual(ids(await kit.since(bob, cursor)), []);
    }
  });

  it("shows members of a group what came since they joined", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const group = `g-${randomUUID()}`;
    await store().createConversation(group, [alice, bob]);
    await kit.writeTo(alice, group);
    await kit.writeTo(alice, group);
    await store().createConversation(group, [carol]);
    const late = await kit.contact(carol, group);
    assert.deepEqual([late.unread, late.lastEvent, late.lastSeq, late.peerId], [0, undefined, 2, ""]);
    await kit.writeTo(bob, group);
    assert.equal((await kit.contact(carol, group)).unread, 1);
    assert.deepEqual(ids(await kit.list(carol)), [group]);
    const read = await kit.change(bob, group, { readSeq: 2 });
    assert.equal("peer" in read, false, "a group has no peer");
    const receipts = await kit.states().receipts(alice, group, 10);
    const expected = [
      { userId: bob, readSeq: 2 },
      { userId: carol, readSeq: 0 },
    ];
    const sorted = expected.toSorted((a, b) => (a.userId < b.userId ? -1 : 1));
    assert.deepEqual(receipts, sorted);
    assert.deepEqual(await kit.states().receipts(alice, group, 1), sorted.slice(0, 1));
  });

  it("tells the members of a conversation, the asker first, as many as wanted", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const group = `g-${randomUUID()}`;
    await store().createConversation(group, [alice, bob, carol]);
    const id = await kit.write(alice, bob);
    const asks = [group, id, "no such conversation", id].map((conversationId) => ({ userId: bob, conversationId }));
    const [all, both, none, again] = await kit.states().members(asks, 10);
    assert.deepEqual([all?.[0], all?.toSorted()], [bob, [alice, bob, carol].sort()]);
    assert.deepEqual([both, none, again], [[bob, alice], undefined, [bob, alice]]);
    const [few] = await kit.states().members([{ userId: bob, conversationId: group }], 1);
    assert.ok(few?.includes(bob) && few.length <= 2);
    assert.deepEqual(await kit.states().members([], 10), []);
    assert.deepEqual(await kit.states().receipts(bob, id, 10), [{ userId: alice, readSeq: 0 }]);
  });
}
