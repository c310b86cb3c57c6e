// SPDX-License-Identifier: Apache-2.0
// READ, CONV_SET, CONTACTS and TYPING as clients send them.
import assert from "node:assert/strict";
import { it } from "node:test";
import { ErrorCode } from "#lib/errors.ts";
import { Command, Flag } from "#proto/commands.ts";
import {
  type Contact,
  Contacts,
  ContactsPage,
  ConvSet,
  ConvState,
  Read,
  ReadState,
  Typing,
  TypingState,
} from "#proto/gen/messages.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { TestAnswer } from "../entry-kit.ts";
import { directConversationId } from "../send/conversation.ts";
import { attached, idOf, type LogicHarness, type Online, online, say, unique } from "./kit.ts";

const read = ({ entry, conn }: Online, fields: Partial<Read>): Promise<TestAnswer<ReadState>> =>
  entry.ask(conn, Command.READ, Read.encode(fields), Command.READ, (bytes) => ReadState.decode(bytes));
const set = ({ entry, conn }: Online, fields: Partial<ConvSet>): Promise<TestAnswer<ConvState>> =>
  entry.ask(conn, Command.CONV_SET, ConvSet.encode(fields), Command.CONV_SET, (bytes) => ConvState.decode(bytes));
const contacts = ({ entry, conn }: Online, fields: Partial<Contacts> = {}): Promise<TestAnswer<ContactsPage>> =>
  entry.ask(conn, Command.CONTACTS, Contacts.encode(fields), Command.CONTACTS, (bytes) => ContactsPage.decode(bytes));
const typing = ({ entry, conn }: Online, fields: Partial<Typing>): Promise<TestAnswer<TypingState>> =>
  entry.ask(conn, Command.TYPING, Typing.encode(fields), Command.TYPING, (bytes) => TypingState.decode(bytes));

function ok<T>(answer: TestAnswer<T>): T {
  assert.ok(answer.kind === "ok", JSON.stringify(answer));
  return answer.body;
}

/** The next frame that a connection gets unasked. */
async function unasked({ entry, conn }: Online, cmd: number): Promise<Uint8Array> {
  const record = await entry.next(RecordKind.REPLY, { conn, cmd, rid: 0 });
  assert.equal(record.flags, Flag.NO_PERSIST);
  return record.body;
}

const unaskedOf = ({ entry, conn }: Online): number =>
  entry.waiting(RecordKind.REPLY).filter((record) => record.conn === conn && record.rid === 0).length;

const pairOf = (get: () => LogicHarness, one: string, other: string): string =>
  directConversationId(idOf(get, one), idOf(get, other));

/** Alice on two devices, bob on one, and their conversation with `count` messages of bob. */
async function pair(get: () => LogicHarness, count: number) {
  const entry = await attached(get);
  const [alice, bob] = [await online(get, entry), await online(get, entry)];
  const laptop = await online(get, await attached(get), alice.user, { platform: "web", deviceId: "laptop" });
  for (let at = 0; at < count; at++) ok(await say(bob, { to: alice.user }));
  return { alice, bob, laptop, conversationId: pairOf(get, alice.user, bob.user) };
}

/** Run by logicContract: READ. */
export function reading(get: () => LogicHarness): void {
  it("stores how far a user has read, and tells its other devices and the peer", async () => {
    const { alice, bob, laptop, conversationId } = await pair(get, 3);
    const state = ok(await read(alice, { conversationId, convSeq: 2 }));
    assert.deepEqual(
      [state.conversationId, state.userId, state.readSeq, state.version],
      [conversationId, alice.user, 2, 1],
    );
    const onLaptop = ReadState.decode(await unasked(laptop, Command.READ));
    assert.deepEqual([onLaptop.userId, onLaptop.readSeq, onLaptop.version], [alice.user, 2, 1]);
    const atBob = ReadState.decode(await unasked(bob, Command.READ));
    assert.deepEqual([atBob.conversationId, atBob.userId, atBob.readSeq], [conversationId, alice.user, 2]);
    assert.equal(ok(await read(alice, { conversationId, convSeq: 1 })).readSeq, 2);
    assert.equal(ok(await read(alice, { conversationId, convSeq: 99 })).readSeq, 3);
    assert.equal(
      ReadState.decode(await unasked(bob, Command.READ)).readSeq,
      3,
      "nothing was told of what changed nothing",
    );
    assert.equal(unaskedOf(alice), 0);
    const [contact] = ok(await contacts(bob)).contacts;
    assert.deepEqual([contact?.peerReadSeq, contact?.peerId, contact?.unread], [3, alice.user, 0]);
  });

  it("tells the members of a group, and how far each has read to whoever asks", async () => {
    const entry = await attached(get);
    const members = [await online(get, entry), await online(get, entry), await online(get, entry)];
    const [alice, bob, carol] = members as [Online, Online, Online];
    const conversationId = unique("group");
    await get().createConversation(
      conversationId,
      members.map(({ user }) => user),
    );
    ok(await say(alice, { conversationId }));
    ok(await read(bob, { conversationId, convSeq: 1 }));
    for (const member of [alice, carol]) {
      const told = ReadState.decode(await unasked(member, Command.READ));
      assert.deepEqual([told.userId, told.readSeq, told.version], [bob.user, 1, 0]);
    }
    const { receipts, readSeq } = ok(await read(alice, { conversationId, withReceipts: true }));
    const expected = [
      { userId: bob.user, readSeq: 1 },
      { userId: carol.user, readSeq: 0 },
    ];
    assert.deepEqual(
      receipts,
      expected.toSorted((a, b) => (a.userId < b.userId ? -1 : 1)),
    );
    assert.equal(readSeq, 0);
  });

  it("answers nothing where no answer is wanted", async () => {
    const { alice, bob, conversationId } = await pair(get, 1);
    const body = Read.encode({ conversationId, convSeq: 1 });
    alice.entry.send({ kind: RecordKind.COMMAND, cmd: Command.READ, conn: alice.conn, rid: 0, body });
    assert.equal(ReadState.decode(await unasked(bob, Command.READ)).readSeq, 1);
    const unknown = Read.encode({ conversationId: "nowhere", convSeq: 1 });
    alice.entry.send({ kind: RecordKind.COMMAND, cmd: Command.READ, conn: alice.conn, rid: 0, body: unknown });
    assert.equal(ok(await read(alice, { conversationId })).readSeq, 1);
    assert.equal(unaskedOf(alice), 0);
  });
}

/** Run by logicContract: CONV_SET and CONTACTS. */
export function contactLists(get: () => LogicHarness): void {
  it("pins, mutes, archives and deletes on all devices of the user, and tells nobody else", async () => {
    const { alice, bob, laptop, conversationId } = await pair(get, 2);
    const state = ok(await set(alice, { conversationId, pin: 1, mute: 1, archive: 1, deleteToSeq: 1 }));
    const { pinned, archived, mutedUntilMs, deletedToSeq, version } = state;
    assert.deepEqual(
      [pinned, archived, mutedUntilMs, deletedToSeq, version],
      [true, true, Number.MAX_SAFE_INTEGER, 1, 1],
    );
    assert.deepEqual(ConvState.decode(await unasked(laptop, Command.CONV_SET)), state);
    const until = ok(await set(laptop, { conversationId, pin: 2, mute: 1, mutedUntilMs: 1_800_000_000_000 }));
    assert.deepEqual([until.pinned, until.archived, until.mutedUntilMs], [false, true, 1_800_000_000_000]);
    assert.equal(ConvState.decode(await unasked(alice, Command.CONV_SET)).version, 2);
    const quiet = ok(await set(alice, { conversationId, mute: 2, archive: 2 }));
    assert.deepEqual([quiet.mutedUntilMs, quiet.archived, quiet.version], [0, false, 3]);
    assert.deepEqual(ok(await set(alice, { conversationId })), quiet, "nothing to do");
    assert.equal(unaskedOf(bob), 0);
    const history = ok(await alice.entry.history(alice.conn, { conversationId }));
    assert.deepEqual([history.events.map(({ convSeq }) => convSeq), history.firstSeq], [[2], 2]);
  });

  it("lists conversations in pages, some of them by name, and what changed since a cursor", async () => {
    const { alice, bob, conversationId } = await pair(get, 2);
    const others = [await online(get, alice.entry), await online(get, alice.entry)];
    for (const other of others) ok(await say(other, { to: alice.user }));
    const first = ok(await contacts(alice, { limit: 2 }));
    const second = ok(await contacts(alice, { limit: 2, before: first.nextBefore, inboxEpoch: first.inboxEpoch }));
    const ids = (page: ContactsPage): string[] => page.contacts.map((contact) => contact.conversationId);
    const expected = [others[1], others[0], bob].map((other) => pairOf(get, alice.user, other?.user ?? ""));
    assert.deepEqual([...ids(first), ...ids(second)], expected);
    const [contact] = second.contacts as [Contact];
    assert.deepEqual([contact.unread, contact.lastSeq, contact.lastEvent?.sender], [2, 2, bob.user]);
    const cursor = { changes: true, inboxEpoch: first.inboxEpoch };
    const since = { ...cursor, sinceVersion: first.version, sinceInboxSeq: first.inboxSeq };
    assert.deepEqual(ids(ok(await contacts(alice, since))), []);
    ok(await read(alice, { conversationId, convSeq: 2 }));
    ok(await say(others[0] as Online, { to: alice.user }));
    const changed = ok(await contacts(alice, since));
    assert.deepEqual([ids(changed), changed.more], [[conversationId, expected[1]], false]);
    const named = ok(await contacts(alice, { conversationIds: [conversationId, "nowhere", conversationId] }));
    assert.deepEqual([ids(named), named.contacts[0]?.state?.readSeq], [[conversationId], 2]);
  });

  it("gives strangers, and whoever makes ids up, one answer", async () => {
    const { conversationId } = await pair(get, 1);
    const stranger = await online(get, await attached(get));
    const answers: TestAnswer<unknown>[] = [];
    for (const id of [conversationId, unique("nowhere")]) {
      answers.push(await read(stranger, { conversationId: id, convSeq: 1, withReceipts: true }));
      answers.push(await set(stranger, { conversationId: id, pin: 1 }));
      answers.push(await typing(stranger, { conversationId: id }));
      assert.deepEqual(ok(await contacts(stranger, { conversationIds: [id] })).contacts, []);
    }
    const [first] = answers;
    assert.ok(first?.kind === "error" && first.error.code === ErrorCode.PERMISSION_DENIED);
    for (const other of answers) assert.deepEqual(other, first);
  });

  it("refuses what cannot be, in words for who wrote it", async () => {
    const { alice, conversationId } = await pair(get, 1);
    const broken = Buffer.from([0x0a, 0xff]);
    const refused: [number, Uint8Array, RegExp][] = [
      [Command.READ, broken, /not a Read message/],
      [Command.CONV_SET, broken, /not a ConvSet message/],
      [Command.CONTACTS, broken, /not a Contacts message/],
      [Command.TYPING, broken, /not a Typing message/],
      [Command.READ, Read.encode({ convSeq: 1 }), /conversation_id must have/],
      [Command.READ, Read.encode({ conversationId: "x".repeat(65) }), /conversation_id must have/],
      [Command.TYPING, Typing.encode({ conversationId: "a\0b" }), /conversation_id must have/],
      [Command.CONV_SET, ConvSet.encode({ conversationId, pin: 3 }), /pin is 3/],
      [Command.CONV_SET, ConvSet.encode({ conversationId, mute: 1, mutedUntilMs: -1 }), /muted_until_ms/],
      [Command.CONTACTS, Contacts.encode({ conversationIds: [""] }), /conversation_ids holds/],
      [Command.CONTACTS, Contacts.encode({ conversationIds: new Array<string>(101).fill("c") }), /more than 100/],
      [Command.CONTACTS, Contacts.encode({ changes: true, before: 3 }), /leave one out/],
    ];
    for (const [cmd, body, expected] of refused) {
      const answer = await alice.entry.ask(alice.conn, cmd, body, cmd, () => "taken");
      assert.ok(answer.kind === "error", `${cmd}: ${expected}`);
      assert.equal(answer.error.code, ErrorCode.BAD_REQUEST);
      assert.match(answer.error.reason, expected);
    }
    const answer = await contacts(alice, { inboxEpoch: "another" });
    assert.ok(answer.kind === "error" && answer.error.code === ErrorCode.CURSOR_INVALID);
  });
}

/** Run by logicContract: TYPING. */
export function typists(get: () => LogicHarness): void {
  it("tells the other members who are connected, and is in nobody's inbox", async () => {
    const { alice, bob, laptop, conversationId } = await pair(get, 1);
    const reply = ok(await typing(alice, { conversationId }));
    assert.deepEqual(reply, { conversationId, userId: alice.user, stopped: false });
    assert.deepEqual(TypingState.decode(await unasked(bob, Command.TYPING)), reply);
    ok(await typing(alice, { conversationId, stopped: true }));
    assert.equal(TypingState.decode(await unasked(bob, Command.TYPING)).stopped, true);
    assert.deepEqual([unaskedOf(laptop), unaskedOf(alice)], [0, 0]);
    assert.equal(ok(await bob.entry.sync(bob.conn, {})).head, 1);
  });

  it("is dropped when it comes too often", async () => {
    const { alice, bob, conversationId } = await pair(get, 1);
    const answers = await Promise.all(Array.from({ length: 60 }, () => typing(alice, { conversationId })));
    const limited = answers.filter((answer) => answer.kind === "error");
    assert.ok(limited.length > 0);
    for (const answer of limited) {
      assert.ok(answer.kind === "error" && answer.error.code === ErrorCode.RATE_LIMITED);
      assert.ok(answer.error.retryable && answer.error.retryAfterMs > 0);
    }
    ok(await typing(bob, { conversationId }));
  });
}
