// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import { ErrorCode } from "#lib/errors.ts";
import { SessionTag } from "#proto/gen/messages.ts";
import { epochMark } from "#proto/uplink/epoch-mark.ts";
import { RecordKind } from "#proto/uplink/record.ts";
import type { TestEntry } from "./entry-kit.ts";
import { MemoryStore } from "./store/memory.ts";
import { startTwoLogics } from "./two-logics-kit.ts";

/** On one store in memory, whose clock stands still. */
async function setUp() {
  const clock = new FakeClock();
  const store = new MemoryStore();
  return { clock, store, ...(await startTwoLogics(clock, [store, store])) };
}

let sent = 0;
async function sendFromAlice(through: TestEntry): Promise<void> {
  const answer = await through.message(1, { to: "bob", clientMessageId: `m${++sent}`, content: new Uint8Array(1) });
  assert.equal(answer.kind, "ok");
}

describe("two logics", () => {
  it("tell a session that the other one did not know about what it missed, and push to all from then on", async () => {
    const { clock, toFirst, toSecond, close } = await setUp();
    await toFirst.login(1, "alice", { deviceId: "a" });
    await toFirst.login(2, "bob", { deviceId: "laptop", platform: "web" });
    await sendFromAlice(toFirst);
    assert.equal((await toFirst.delivered(2)).inboxSeq, 1);
    await toSecond.login(3, "bob", { deviceId: "phone" });
    await sendFromAlice(toFirst);
    assert.equal((await toFirst.delivered(2)).inboxSeq, 2);
    assert.deepEqual(
      toFirst.waiting(RecordKind.DELIVER).filter(({ conn }) => conn === 3),
      [],
      "the first logic remembers the laptop only",
    );
    clock.advance(1500);
    assert.equal((await toSecond.next(RecordKind.HEAD, { conn: 3 })).aux, 2);
    await sendFromAlice(toFirst);
    assert.equal((await toFirst.delivered(3)).inboxSeq, 3);
    close();
  });

  it("find who moved away, at the latest when the old connection is gone", async () => {
    const { toFirst, toSecond, close } = await setUp();
    await toFirst.login(1, "alice", { deviceId: "a" });
    await toFirst.login(2, "bob", { deviceId: "phone" });
    await sendFromAlice(toFirst);
    await toFirst.delivered(2);
    await toSecond.login(3, "bob", { deviceId: "phone" });
    await sendFromAlice(toFirst);
    const { aux } = await toFirst.next(RecordKind.DELIVER, { conn: 2 });
    toFirst.send({ kind: RecordKind.UNREACHABLE, conn: 2, aux, body: Buffer.from("bob") });
    assert.equal((await toFirst.next(RecordKind.HEAD, { conn: 3 })).aux, 2);
    await sendFromAlice(toFirst);
    assert.equal((await toFirst.delivered(3)).inboxSeq, 3);
    close();
  });

  it("give nobody a position of another epoch after a restore, and tell their sessions as soon as they notice", async () => {
    const { store, toFirst, toSecond, close } = await setUp();
    const before = store.epoch;
    await toFirst.login(1, "alice", { deviceId: "a" });
    const bob = await toSecond.login(2, "bob", { deviceId: "b" });
    assert.ok(bob.kind === "ok");
    await sendFromAlice(toFirst);
    const { rid } = await toFirst.next(RecordKind.DELIVER, { conn: 2 });
    assert.equal(rid, epochMark(before));
    await store.changeEpoch();

    // The first logic does not know: the transaction itself finds out, and the sender is told to try again.
    const refused = await toFirst.message(1, { to: "bob", clientMessageId: "r", content: new Uint8Array(1) });
    assert.ok(refused.kind === "error" && refused.error.code === ErrorCode.RETRYABLE);
    assert.equal((await toFirst.kicked(1)).code, DisconnectCode.INBOX_RESET);
    assert.equal((await store.inboxHeads(["bob"])).heads.get("bob"), 1, "nothing was stored");
    toFirst.send({ kind: RecordKind.CLOSED, conn: 1 });

    // She comes back and sends again; bob's session is of the other epoch still, and the delivery says so.
    const back = await toFirst.login(3, "alice", { deviceId: "a", inboxEpoch: before, inboxCursor: 1 });
    assert.ok(back.kind === "ok" && !back.welcome.resumed && back.welcome.inboxEpoch === store.epoch);
    assert.equal(back.reply.epochMark, epochMark(store.epoch));
    const stored = await toFirst.message(3, { to: "bob", clientMessageId: "r", content: new Uint8Array(1) });
    assert.ok(stored.kind === "ok" && stored.body.inboxSeq === 2);
    const delivered = await toFirst.next(RecordKind.DELIVER, { conn: 2 });
    assert.deepEqual([delivered.aux, delivered.rid], [2, epochMark(store.epoch)]);

    // His logic has heard nothing yet: whatever he asks next tells it.
    assert.deepEqual(toSecond.waiting(RecordKind.KICK), []);
    const page = await toSecond.sync(2, { inboxEpoch: before, cursor: 1 });
    assert.ok(page.kind === "error" && page.error.code === ErrorCode.CURSOR_INVALID);
    assert.equal((await toSecond.kicked(2)).code, DisconnectCode.INBOX_RESET);
    close();
  });

  it("tell a session of another epoch that moves to them, and take nothing from it", async () => {
    const { clock, store, toFirst, toSecond, close } = await setUp();
    const bob = await toSecond.login(2, "bob", { deviceId: "b" });
    const carol = await toSecond.login(4, "carol", { deviceId: "c" });
    assert.ok(bob.kind === "ok" && carol.kind === "ok");
    await store.changeEpoch();
    const alice = await toFirst.login(1, "alice", { deviceId: "a" });
    assert.ok(alice.kind === "ok");
    toFirst.send({ kind: RecordKind.BIND, conn: 2, body: bob.reply.tag });
    const refused = await toFirst.message(2, { to: "alice", clientMessageId: "r", content: new Uint8Array(1) });
    assert.ok(refused.kind === "error" && refused.error.code === ErrorCode.RETRYABLE);
    // It has just looked, and looks again a moment later.
    clock.advance(100);
    assert.equal((await toFirst.kicked(2)).code, DisconnectCode.INBOX_RESET);
    assert.equal(
      (await toFirst.message(1, { to: "bob", clientMessageId: "n", content: new Uint8Array(1) })).kind,
      "ok",
    );

    // A process of the version before knows no marks: what it hands over counts as of now.
    const unmarked = SessionTag.encode({ ...SessionTag.decode(carol.reply.tag), epochMark: 0 });
    toFirst.send({ kind: RecordKind.BIND, conn: 4, body: unmarked });
    assert.equal(
      (await toFirst.message(4, { to: "bob", clientMessageId: "u", content: new Uint8Array(1) })).kind,
      "ok",
    );
    assert.deepEqual(toFirst.waiting(RecordKind.KICK), []);
    close();
  });
});
