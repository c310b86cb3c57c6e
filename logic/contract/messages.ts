// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import { ErrorCode } from "#lib/errors.ts";
import { Command } from "#proto/commands.ts";
import { PushAck, type Send } from "#proto/gen/messages.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { PushIntent } from "../deliver/offline.ts";
import { waitUntil } from "../entry-kit.ts";
import { attached, idOf, type LogicHarness, nextConn, online, say, text, unique } from "./kit.ts";

/** Run by logicContract. */
export function sending(get: () => LogicHarness): void {
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
      Array.from({ length: 50 }, (_, at) =>
        alice.entry.message(alice.conn, { to: bob.user, clientMessageId: `m${at}`, content: text("x") }),
      ),
    );
    // A slow machine may shed some; the others keep their order.
    const seqs = answers.flatMap((answer) => (answer.kind === "ok" ? [answer.body.inboxSeq] : []));
    assert.deepEqual(
      seqs,
      seqs.map((_, at) => at + 1),
    );
    const got: number[] = [];
    for (const _ of seqs) got.push((await entry.delivered(bob.conn)).inboxSeq);
    assert.deepEqual(got, seqs);
  });
}

/** Run by logicContract. */
export function resending(get: () => LogicHarness): void {
  it("answers a resend like the first SEND and stores it once", async () => {
    const entry = await attached(get);
    const [alice, bob] = [await online(get, entry), await online(get, entry)];
    const first = await say(alice, { to: bob.user, clientMessageId: "same" });
    const again = await say(alice, { to: bob.user, clientMessageId: "same" });
    assert.ok(first.kind === "ok" && again.kind === "ok");
    assert.deepEqual({ ...again.body, duplicate: false }, { ...first.body });
    assert.equal(again.body.duplicate, true);
    await entry.delivered(bob.conn);
    const page = await get().store.readInbox({ userId: idOf(get, bob.user), cursor: 0, limit: 10, limitBytes: 1000 });
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
    const [awayId, aliceId] = [idOf(get, away), idOf(get, alice.user)];
    const of = async (): Promise<PushIntent[]> =>
      (await get().intents()).filter(({ userId }) => userId === awayId || userId === aliceId);
    await waitUntil("the intent is queued", async () => (await of()).length > 0);
    assert.deepEqual(await of(), [{ userId: awayId, inboxSeq: 1, cause: "offline" }]);
  });
}

/** Run by logicContract. */
export function refusals(get: () => LogicHarness): void {
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
    const conn = nextConn();
    const login = await old.login(conn, await get().token(alice.user), { platform: "web", deviceId: "w" });
    assert.ok(login.kind === "ok");
    const before = await now.sync(conn, {});
    assert.ok(before.kind === "error" && before.error.code === ErrorCode.RETRYABLE && before.error.retryable);
    now.send({ kind: RecordKind.BIND, conn, body: login.reply.tag });
    assert.equal((await now.sync(conn, {})).kind, "ok");
  });
}

/** Run by logicContract. */
export function inboxes(get: () => LogicHarness): void {
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
      const login = await entry.login(nextConn(), await get().token(bob.user), hello);
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
    const acked = async (): Promise<number> =>
      (await get().store.pushTargets([idOf(get, bob.user)]))[0]?.ackedSeq ?? -1;
    const becomes = (seq: number): Promise<void> =>
      waitUntil(`acked is ${seq}`, async () => {
        get().elapse(1000);
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
    get().elapse(1000);
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
