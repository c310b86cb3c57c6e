// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DisconnectCode } from "#lib/codes.ts";
import { ErrorCode } from "#lib/errors.ts";
import { Command, Flag } from "#proto/commands.ts";
import { Disconnect, PushAck, type Send } from "#proto/gen/messages.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { LogicCore } from "./compose.ts";
import type { PushIntent } from "./deliver/offline.ts";
import { loginBody, type TestEntry, waitUntil } from "./entry-kit.ts";
import type { Router } from "./router/router.ts";
import type { Store } from "./store/store.ts";

/** A running logic with what surrounds it. Users are made up per test: nothing is reset in between. */
export interface LogicHarness {
  /** A new entry, not attached yet. */
  entry(podUid: string): TestEntry;
  /** PurgeEntry, as the operator calls it. */
  purge(podUid: string): Promise<{ incarnations: number; routesDeleted: number; routesRemaining: number }>;
  token(userId: string): Promise<string>;
  /** Push intents appended so far. */
  intents(): Promise<PushIntent[]>;
  /** Lets time pass where the clock is a fake one. */
  elapse(ms: number): void;
  /** The router forgets everything. */
  flushRouter(): Promise<void>;
  readonly store: Store;
  readonly router: Router;
  readonly core: LogicCore;
}

let counter = 0;
const unique = (name: string): string => `${name}-${process.pid}-${++counter}`;

const text = (words: string): Uint8Array => new TextEncoder().encode(words);

interface Online {
  user: string;
  entry: TestEntry;
  conn: number;
}

/** The behaviour of logic towards its entries, run on memory ports and on real PostgreSQL and Redis. */
export function logicContract(name: string, get: () => LogicHarness): void {
  describe(`logic contract: ${name}`, () => {
    sending(get);
    resending(get);
    refusals(get);
    inboxes(get);
    sessions(get);
    routing(get);
    fencing(get);
  });
}

async function attached(get: () => LogicHarness): Promise<TestEntry> {
  const entry = get().entry(unique("pod"));
  assert.ok(await entry.attach());
  return entry;
}

let conns = 0;

async function online(get: () => LogicHarness, entry: TestEntry, user = unique("user"), hello = {}): Promise<Online> {
  const conn = ++conns;
  const login = await entry.login(conn, await get().token(user), hello);
  assert.equal(login.kind, "ok", JSON.stringify(login));
  return { user, entry, conn };
}

function say(from: Online, send: Partial<Send>) {
  return from.entry.message(from.conn, { clientMessageId: unique("cm"), content: text("hello"), ...send });
}

function sending(get: () => LogicHarness): void {
  it("answers a SEND after the commit and delivers it to the other entry", async () => {
    const [a, b] = [await attached(get), await attached(get)];
    const [alice, bob] = [await online(get, a), await online(get, b)];
    const answer = await say(alice, { to: bob.user, clientMessageId: "m-1", contentType: "text/plain" });
    assert.ok(answer.kind === "ok");
    const { messageId, conversationId, convSeq, inboxSeq, duplicate } = answer.body;
    assert.match(messageId, /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    assert.match(conversationId, /^c_[0-9a-f]{32}$/);
    assert.deepEqual([convSeq, inboxSeq, duplicate], [1, 1, false]);
    const event = await b.delivered(bob.conn);
    assert.deepEqual(
      { ...event, content: Buffer.from(event.content).toString(), sentAtMs: 0 },
      {
        inboxSeq: 1,
        conversationId,
        convSeq: 1,
        messageId,
        sender: alice.user,
        sentAtMs: 0,
        clientMessageId: "m-1",
        contentType: "text/plain",
        content: "hello",
      },
    );
    const back = await say(bob, { conversationId });
    assert.ok(back.kind === "ok" && back.body.convSeq === 2);
    assert.equal((await a.delivered(alice.conn)).inboxSeq, 2);
    assert.equal(a.waiting(RecordKind.DELIVER).length + b.waiting(RecordKind.DELIVER).length, 0, "not to the sender");
  });

  it("delivers to every slot of the recipient, and to the sender's other slots", async () => {
    const entry = await attached(get);
    const phone = await online(get, entry);
    const web = await online(get, entry, phone.user, { platform: "web", deviceId: "browser" });
    const bobPhone = await online(get, entry);
    const bobDesk = await online(get, entry, bobPhone.user, { platform: "desktop", deviceId: "desk" });
    const answer = await say(phone, { to: bobPhone.user });
    assert.equal(answer.kind, "ok");
    for (const { conn } of [web, bobPhone, bobDesk]) assert.equal((await entry.delivered(conn)).inboxSeq, 1);
  });

  it("keeps the order of messages sent without waiting", async () => {
    const entry = await attached(get);
    const [alice, bob] = [await online(get, entry), await online(get, entry)];
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, at) => say(alice, { to: bob.user, content: text(`${at}`) })),
    );
    const seqs = answers.map((answer) => (answer.kind === "ok" ? answer.body.inboxSeq : -1));
    assert.deepEqual(
      seqs,
      Array.from({ length: 50 }, (_, at) => at + 1),
    );
    const got: number[] = [];
    for (let at = 0; at < 50; at++) got.push((await entry.delivered(bob.conn)).inboxSeq);
    assert.deepEqual(got, seqs);
  });
}

function resending(get: () => LogicHarness): void {
  it("answers a resend like the first SEND and stores it once", async () => {
    const entry = await attached(get);
    const [alice, bob] = [await online(get, entry), await online(get, entry)];
    const first = await say(alice, { to: bob.user, clientMessageId: "same" });
    const again = await say(alice, { to: bob.user, clientMessageId: "same" });
    assert.ok(first.kind === "ok" && again.kind === "ok");
    assert.deepEqual({ ...again.body, duplicate: false }, { ...first.body });
    assert.equal(again.body.duplicate, true);
    await entry.delivered(bob.conn);
    const page = await get().store.readInbox({ userId: bob.user, cursor: 0, limit: 10, limitBytes: 1000 });
    assert.equal(page.events.length, 1);
  });

  it("refuses another message under the same client id", async () => {
    const entry = await attached(get);
    const [alice, bob] = [await online(get, entry), await online(get, entry)];
    const first = await say(alice, { to: bob.user, clientMessageId: "same" });
    const other = await say(alice, { to: bob.user, clientMessageId: "same", content: text("changed") });
    assert.ok(first.kind === "ok" && other.kind === "error");
    assert.equal(other.error.code, ErrorCode.CONFLICT);
    assert.equal(other.error.messageId, first.body.messageId);
    assert.equal(other.error.clientMessageId, "same");
    assert.equal(other.error.retryable, false);
  });

  it("queues a push for a recipient who is away, and for nobody else", async () => {
    const entry = await attached(get);
    const alice = await online(get, entry);
    const away = unique("away");
    assert.equal((await say(alice, { to: away })).kind, "ok");
    const of = async (): Promise<PushIntent[]> =>
      (await get().intents()).filter(({ userId }) => userId === away || userId === alice.user);
    await waitUntil("the intent is queued", async () => (await of()).length > 0);
    assert.deepEqual(await of(), [{ userId: away, inboxSeq: 1 }]);
  });
}

function refusals(get: () => LogicHarness): void {
  const bad: [string, (me: string) => Partial<Send>, number][] = [
    ["no recipient", () => ({}), ErrorCode.BAD_REQUEST],
    ["two recipients", () => ({ to: "bob", conversationId: "c_1" }), ErrorCode.BAD_REQUEST],
    ["an empty client id", () => ({ to: "bob", clientMessageId: "" }), ErrorCode.BAD_REQUEST],
    ["a client id of 65 characters", () => ({ to: "bob", clientMessageId: "x".repeat(65) }), ErrorCode.BAD_REQUEST],
    ["a client id with NUL", () => ({ to: "bob", clientMessageId: "a\0b" }), ErrorCode.BAD_REQUEST],
    ["a recipient with a space", () => ({ to: "bob x" }), ErrorCode.BAD_REQUEST],
    ["a recipient of 65 characters", () => ({ to: "b".repeat(65) }), ErrorCode.BAD_REQUEST],
    ["the sender as recipient", (me) => ({ to: me }), ErrorCode.BAD_REQUEST],
    ["a conversation id of 65 characters", () => ({ conversationId: "c".repeat(65) }), ErrorCode.BAD_REQUEST],
    ["a content type of 65 characters", () => ({ to: "bob", contentType: "t".repeat(65) }), ErrorCode.BAD_REQUEST],
    ["too much content", () => ({ to: "bob", content: new Uint8Array(65_537) }), ErrorCode.TOO_LARGE],
    ["an unknown conversation", () => ({ conversationId: "c_unknown" }), ErrorCode.PERMISSION_DENIED],
  ];
  for (const [what, make, code] of bad) {
    it(`refuses a SEND with ${what} and says why`, async () => {
      const alice = await online(get, await attached(get));
      const answer = await say(alice, make(alice.user));
      assert.ok(answer.kind === "error");
      assert.equal(answer.error.code, code);
      assert.ok(answer.error.reason.length > 15);
      assert.equal(answer.error.retryable, false);
    });
  }

  it("answers a stranger of a conversation like somebody who made its id up", async () => {
    const entry = await attached(get);
    const [alice, bob, eve] = [await online(get, entry), await online(get, entry), await online(get, entry)];
    const first = await say(alice, { to: bob.user });
    assert.ok(first.kind === "ok");
    const [stranger, invented] = [
      await say(eve, { conversationId: first.body.conversationId, clientMessageId: "e" }),
      await say(eve, { conversationId: "c_invented", clientMessageId: "e" }),
    ];
    assert.ok(stranger.kind === "error" && invented.kind === "error");
    assert.deepEqual({ ...stranger.error }, { ...invented.error });
  });

  it("accepts 64 KiB of content and 64 characters of everything", async () => {
    const alice = await online(get, await attached(get));
    const answer = await say(alice, {
      to: "b".repeat(64),
      clientMessageId: "ä".repeat(64),
      contentType: "t".repeat(64),
      content: new Uint8Array(65_536),
    });
    assert.equal(answer.kind, "ok");
  });

  it("keeps the connection on unknown commands and broken bodies", async () => {
    const { entry, conn } = await online(get, await attached(get));
    const never = (): never => assert.fail("answered");
    const broken = Uint8Array.of(0xff, 0xff, 0xff);
    const cases: [number, Uint8Array, number][] = [
      [99, new Uint8Array(0), ErrorCode.UNKNOWN_COMMAND],
      [Command.HELLO, new Uint8Array(0), ErrorCode.UNKNOWN_COMMAND],
      [Command.SEND, broken, ErrorCode.BAD_REQUEST],
      [Command.SYNC, broken, ErrorCode.BAD_REQUEST],
      [Command.PUSH_ACK, broken, ErrorCode.BAD_REQUEST],
    ];
    for (const [cmd, body, code] of cases) {
      const answer = await entry.ask(conn, cmd, body, 0, never);
      assert.ok(answer.kind === "error" && answer.error.code === code, `command ${cmd}`);
    }
    assert.equal((await entry.sync(conn, {})).kind, "ok");
  });

  it("asks to send again when it does not know the connection, until BIND", async () => {
    const [old, now] = [await attached(get), await attached(get)];
    const alice = await online(get, old);
    const login = await old.login(++conns, await get().token(alice.user), { platform: "web", deviceId: "w" });
    assert.ok(login.kind === "ok");
    const before = await now.sync(conns, {});
    assert.ok(before.kind === "error" && before.error.code === ErrorCode.RETRYABLE && before.error.retryable);
    now.send({ kind: RecordKind.BIND, conn: conns, body: login.reply.tag });
    assert.equal((await now.sync(conns, {})).kind, "ok");
  });
}

function inboxes(get: () => LogicHarness): void {
  it("pages through an inbox in order and refuses cursors that cannot be", async () => {
    const entry = await attached(get);
    const [alice, bob] = [await online(get, entry), await online(get, entry)];
    for (let at = 0; at < 5; at++) await say(alice, { to: bob.user, content: text(`${at}`) });
    const seen: number[] = [];
    let cursor = 0;
    for (let more = true; more; ) {
      const answer = await entry.sync(bob.conn, { inboxEpoch: get().store.epoch, cursor, limit: 2 });
      assert.ok(answer.kind === "ok");
      seen.push(...answer.body.events.map((event) => event.inboxSeq));
      ({ nextCursor: cursor, more } = answer.body);
      assert.equal(answer.body.head, 5);
    }
    assert.deepEqual(seen, [1, 2, 3, 4, 5]);
    for (const wrong of [
      { inboxEpoch: get().store.epoch, cursor: 6 },
      { inboxEpoch: "elsewhere", cursor: 1 },
      { inboxEpoch: "", cursor: 1 },
      { inboxEpoch: get().store.epoch, cursor: Number.MAX_SAFE_INTEGER + 1 },
    ]) {
      const answer = await entry.sync(bob.conn, wrong);
      assert.ok(answer.kind === "error" && answer.error.code === ErrorCode.CURSOR_INVALID, JSON.stringify(wrong));
    }
  });

  it("gives a login the page behind its cursor, and everything when the cursor is of another epoch", async () => {
    const entry = await attached(get);
    const [alice, bob] = [await online(get, entry), await online(get, entry)];
    for (let at = 0; at < 3; at++) await say(alice, { to: bob.user });
    const again = async (hello: object) => {
      const login = await entry.login(++conns, await get().token(bob.user), hello);
      assert.ok(login.kind === "ok");
      const { resumed, inboxHead, firstPage, inboxEpoch } = login.welcome;
      assert.equal(inboxEpoch, get().store.epoch);
      assert.equal(login.reply.inboxHead, inboxHead);
      return {
        resumed,
        inboxHead,
        seqs: firstPage?.events.map((event) => event.inboxSeq),
        next: firstPage?.nextCursor,
      };
    };
    const epoch = get().store.epoch;
    const all = { resumed: false, inboxHead: 3, seqs: [1, 2, 3], next: 3 };
    assert.deepEqual(await again({ inboxEpoch: epoch, inboxCursor: 2 }), { ...all, resumed: true, seqs: [3] });
    assert.deepEqual(await again({}), all);
    assert.deepEqual(await again({ inboxEpoch: "elsewhere", inboxCursor: 2 }), all);
    assert.deepEqual(await again({ inboxEpoch: epoch, inboxCursor: 9 }), all);
  });

  it("writes acknowledgements cumulatively, never back and never past the head", async () => {
    const entry = await attached(get);
    const [alice, bob] = [await online(get, entry), await online(get, entry)];
    for (let at = 0; at < 3; at++) await say(alice, { to: bob.user });
    const ack = (inboxSeq: number): void =>
      entry.send({
        kind: RecordKind.COMMAND,
        cmd: Command.PUSH_ACK,
        conn: bob.conn,
        body: PushAck.encode({ inboxSeq }),
      });
    const acked = async (): Promise<number> => (await get().store.pushTargets([bob.user]))[0]?.ackedSeq ?? -1;
    const becomes = (seq: number): Promise<void> =>
      waitUntil(`acked is ${seq}`, async () => {
        get().elapse(200);
        return (await acked()) === seq;
      });
    ack(1);
    ack(2);
    ack(1);
    await becomes(2);
    ack(1000);
    await becomes(3);
    ack(1);
    assert.equal((await entry.sync(bob.conn, { inboxEpoch: get().store.epoch, cursor: 1 })).kind, "ok");
    get().elapse(200);
    assert.equal(await acked(), 3);
    assert.equal(entry.waiting(RecordKind.REPLY).length, 0, "a good PUSH_ACK has no answer");
  });

  it("tells the head of an inbox", async () => {
    const entry = await attached(get);
    const [alice, bob] = [await online(get, entry), await online(get, entry)];
    await say(alice, { to: bob.user });
    entry.send({ kind: RecordKind.ASK_HEAD, conn: bob.conn }, { kind: RecordKind.ASK_HEAD, conn: alice.conn });
    assert.equal((await entry.next(RecordKind.HEAD, { conn: bob.conn })).aux, 1);
    assert.equal((await entry.next(RecordKind.HEAD, { conn: alice.conn })).aux, 1);
  });
}

function sessions(get: () => LogicHarness): void {
  const kicked = async (entry: TestEntry, conn: number): Promise<Disconnect> =>
    Disconnect.decode((await entry.next(RecordKind.KICK, { conn })).body);

  it("kicks the old session when the same device logs in again, on any entry", async () => {
    const [a, b] = [await attached(get), await attached(get)];
    const old = await online(get, a);
    await online(get, b, old.user);
    assert.equal((await kicked(a, old.conn)).code, DisconnectCode.SUPERSEDED);
  });

  it("kicks the old session when another device takes its slot, and says which", async () => {
    const entry = await attached(get);
    const old = await online(get, entry);
    await online(get, entry, old.user, { platform: "android", deviceId: "phone-2", deviceName: "Bob's Pixel" });
    const { code, byDevice } = await kicked(entry, old.conn);
    assert.deepEqual([code, byDevice], [DisconnectCode.KICKED, "Bob's Pixel"]);
  });

  it("refuses bad logins with the code that says what to do", async () => {
    const entry = await attached(get);
    const token = await get().token(unique("user"));
    const cases: [object, string, number][] = [
      [{}, "forged", DisconnectCode.TOKEN_INVALID],
      [{ deviceId: "" }, token, DisconnectCode.PROTOCOL_ERROR],
      [{ deviceId: "d".repeat(65) }, token, DisconnectCode.PROTOCOL_ERROR],
      [{ platform: "toaster" }, token, DisconnectCode.PROTOCOL_ERROR],
      [{ protoMin: 2, protoMax: 3 }, token, DisconnectCode.VERSION_UNSUPPORTED],
    ];
    for (const [hello, bearer, code] of cases) {
      const login = await entry.login(++conns, bearer, hello);
      assert.ok(login.kind === "denied" && login.disconnect.code === code, JSON.stringify(hello));
      assert.ok(login.disconnect.reason.length > 10);
    }
    entry.send({ kind: RecordKind.LOGIN, conn: ++conns, rid: 1, body: Uint8Array.of(0xff) });
    const denied = await entry.next(RecordKind.LOGIN_DENIED, { conn: conns });
    assert.equal(Disconnect.decode(denied.body).code, DisconnectCode.PROTOCOL_ERROR);
  });

  it("leaves no route behind when the connection closes while it logs in", async () => {
    const entry = await attached(get);
    const user = unique("user");
    const conn = ++conns;
    const body = loginBody(await get().token(user));
    entry.send({ kind: RecordKind.LOGIN, conn, rid: 1, body }, { kind: RecordKind.CLOSED, conn });
    await online(get, entry);
    await waitUntil("nothing is under way", () => get().core.isIdle());
    assert.equal((await get().router.lookup([user])).size, 0);
    assert.equal(entry.waiting(RecordKind.LOGIN_OK).length, 0);
  });

  it("logs out on request", async () => {
    const { entry, conn, user } = await online(get, await attached(get));
    entry.send({ kind: RecordKind.COMMAND, cmd: Command.LOGOUT, conn });
    assert.equal((await kicked(entry, conn)).code, DisconnectCode.LOGGED_OUT);
    await waitUntil("the route is gone", async () => (await get().router.lookup([user])).size === 0);
  });

  it("marks replies and errors with their flags", async () => {
    const { entry, conn } = await online(get, await attached(get));
    entry.send({ kind: RecordKind.COMMAND, cmd: 99, conn, rid: 7 });
    assert.equal((await entry.next(RecordKind.REPLY, { conn, rid: 7 })).flags, Flag.REPLY | Flag.ERROR);
  });
}

function routing(get: () => LogicHarness): void {
  it("removes the route of a closed connection, and not of its successor", async () => {
    const entry = await attached(get);
    const first = await online(get, entry);
    const second = await online(get, entry, first.user);
    entry.send({ kind: RecordKind.CLOSED, conn: first.conn });
    await online(get, entry);
    await waitUntil("nothing is under way", () => get().core.isIdle());
    assert.equal((await get().router.lookup([first.user])).get(first.user)?.[0]?.conn, second.conn);
    entry.send({ kind: RecordKind.CLOSED, conn: second.conn });
    await waitUntil("the route is gone", async () => (await get().router.lookup([first.user])).size === 0);
  });

  it("turns an unreachable connection into a push and forgets its route", async () => {
    const entry = await attached(get);
    const [alice, bob] = [await online(get, entry), await online(get, entry)];
    await say(alice, { to: bob.user });
    const record = await entry.next(RecordKind.DELIVER, { conn: bob.conn });
    entry.send({ kind: RecordKind.UNREACHABLE, conn: bob.conn, aux: record.aux, body: text(bob.user) });
    const mine = async () => (await get().intents()).filter(({ userId }) => userId === bob.user);
    await waitUntil("the intent is queued", async () => (await mine()).length === 1);
    assert.equal((await get().router.lookup([bob.user])).size, 0);
  });

  it("tells a user's newer session its head when the older one was unreachable", async () => {
    const entry = await attached(get);
    const old = await online(get, entry);
    const now = await online(get, entry, old.user);
    entry.send({ kind: RecordKind.UNREACHABLE, conn: old.conn, aux: 9, body: text(old.user) });
    assert.equal((await entry.next(RecordKind.HEAD, { conn: now.conn })).aux, 9);
    assert.equal((await get().router.lookup([old.user])).get(old.user)?.[0]?.conn, now.conn);
  });
}

function fencing(get: () => LogicHarness): void {
  it("renews leases, and fences an entry that was purged, for ever", async () => {
    const entry = await attached(get);
    const { user } = await online(get, entry);
    entry.send({ kind: RecordKind.LEASE, rid: 3 });
    assert.equal((await entry.next(RecordKind.LEASED, { rid: 3 })).aux, 15_000);
    assert.deepEqual(await get().purge(entry.podUid), { incarnations: 1, routesDeleted: 1, routesRemaining: 0 });
    const fenced = Disconnect.decode((await entry.next(RecordKind.FENCED)).body);
    assert.equal(fenced.code, DisconnectCode.ENTRY_FENCED);
    assert.equal((await get().router.lookup([user])).size, 0);
    const zombie = get().entry(entry.podUid);
    assert.equal(await zombie.attach(entry.incarnation), undefined, "an attach of the same incarnation is fenced");
    await get().flushRouter();
    const later = get().entry(entry.podUid);
    assert.equal(await later.attach(entry.incarnation), undefined, "also when Redis forgot the tombstone");
    assert.deepEqual(await get().purge(entry.podUid), { incarnations: 1, routesDeleted: 0, routesRemaining: 0 });
  });

  it("ends the stream of an entry that was declared dead elsewhere", async () => {
    const entry = await attached(get);
    await get().store.fenceEntries(entry.podUid);
    await waitUntil("the stream ended", () => {
      get().elapse(1000);
      return entry.isClosed;
    });
    assert.equal(entry.waiting(RecordKind.FENCED).length, 1);
  });

  it("asks the entries to announce after the router forgot, and routes to them again", async () => {
    const entry = await attached(get);
    const alice = await online(get, entry);
    const conn = ++conns;
    const login = await entry.login(conn, await get().token(unique("bob")));
    assert.ok(login.kind === "ok");
    await get().flushRouter();
    await waitUntil("REANNOUNCE comes", () => {
      get().elapse(1000);
      return entry.waiting(RecordKind.REANNOUNCE).length > 0;
    });
    entry.send({ kind: RecordKind.BIND, conn, body: login.reply.tag });
    const bob = login.reply.userId;
    await waitUntil("bob is routed again", async () => (await get().router.lookup([bob])).size === 1);
    await say(alice, { to: bob });
    assert.equal((await entry.delivered(conn)).inboxSeq, 1);
  });

  it("kicks an announced session that lost its slot meanwhile", async () => {
    const entry = await attached(get);
    const user = unique("user");
    const [first, second] = [++conns, ++conns];
    const old = await entry.login(first, await get().token(user));
    await entry.login(second, await get().token(user), { deviceId: "phone-2" });
    await entry.next(RecordKind.KICK, { conn: first });
    assert.ok(old.kind === "ok");
    entry.send({ kind: RecordKind.BIND, conn: first, body: old.reply.tag });
    const kick = Disconnect.decode((await entry.next(RecordKind.KICK, { conn: first })).body);
    assert.equal(kick.code, DisconnectCode.KICKED);
  });

  it("ends a stream that does not begin with ATTACH, or claims another pod's incarnation", async () => {
    const silent = get().entry(unique("pod"));
    silent.send({ kind: RecordKind.LEASE, rid: 1 });
    await waitUntil("the stream ended", () => silent.isClosed);
    const other = await attached(get);
    const thief = get().entry(unique("pod"));
    void thief.attach(other.incarnation).catch(() => undefined);
    await waitUntil("the stream ended", () => thief.isClosed);
    const broken = await attached(get);
    broken.send({ kind: RecordKind.BIND, conn: 1, body: Uint8Array.of(0xff, 0xff) });
    await waitUntil("the stream ended", () => broken.isClosed);
  });
}
