// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import { ErrorCode } from "#lib/errors.ts";
import { Command } from "#proto/commands.ts";
import { attached, idOf, type LogicHarness, nextConn, type Online, online, say, text } from "./kit.ts";

async function talk(from: Online, to: string, count: number): Promise<string> {
  let conversationId = "";
  for (let at = 0; at < count; at++) {
    const answer = await say(from, { to, content: text(`${at}`) });
    assert.ok(answer.kind === "ok");
    ({ conversationId } = answer.body);
  }
  return conversationId;
}

/** Run by logicContract. */
export function histories(get: () => LogicHarness): void {
  it("gives the members of a conversation its messages by their seq", async () => {
    const entry = await attached(get);
    const [alice, bob] = [await online(get, entry), await online(get, entry)];
    const conversationId = await talk(alice, bob.user, 5);
    const seqs = async (of: Online, history: object): Promise<unknown[]> => {
      const answer = await entry.history(of.conn, { conversationId, ...history });
      assert.ok(answer.kind === "ok", JSON.stringify(answer));
      const { events, lastSeq, firstSeq, more } = answer.body;
      assert.equal(answer.body.conversationId, conversationId);
      return [events.map((event) => event.convSeq), lastSeq, firstSeq, more];
    };
    assert.deepEqual(await seqs(bob, {}), [[1, 2, 3, 4, 5], 5, 1, false]);
    assert.deepEqual(await seqs(alice, { limit: 2 }), [[4, 5], 5, 1, true]);
    assert.deepEqual(await seqs(bob, { from: 4, limit: 2 }), [[2, 3], 5, 1, true]);
    assert.deepEqual(await seqs(bob, { from: 2, forward: true, limit: 2 }), [[3, 4], 5, 1, true]);
    assert.deepEqual(await seqs(bob, { from: 5, forward: true }), [[], 5, 1, false]);
    assert.deepEqual(await seqs(bob, { limitBytes: 1 }), [[5], 5, 1, true]);
  });

  it("answers a stranger like somebody who made the id up, and says what is wrong with a request", async () => {
    const entry = await attached(get);
    const [alice, bob, eve] = [await online(get, entry), await online(get, entry), await online(get, entry)];
    const conversationId = await talk(alice, bob.user, 1);
    const [stranger, invented] = [
      await entry.history(eve.conn, { conversationId }),
      await entry.history(eve.conn, { conversationId: "c_invented" }),
    ];
    assert.ok(stranger.kind === "error" && invented.kind === "error");
    assert.deepEqual({ ...stranger.error }, { ...invented.error });
    assert.equal(stranger.error.code, ErrorCode.PERMISSION_DENIED);
    for (const wrong of [
      {},
      { conversationId: "c".repeat(65) },
      { conversationId: "a\0b" },
      { conversationId, from: Number.MAX_SAFE_INTEGER + 1 },
    ]) {
      const answer = await entry.history(bob.conn, wrong);
      assert.ok(answer.kind === "error" && answer.error.code === ErrorCode.BAD_REQUEST, JSON.stringify(wrong));
    }
    const never = (): never => assert.fail("answered");
    for (const cmd of [Command.HISTORY, Command.SNAPSHOT]) {
      const broken = await entry.ask(bob.conn, cmd, Uint8Array.of(0xff), 0, never);
      assert.ok(broken.kind === "error" && broken.error.code === ErrorCode.BAD_REQUEST);
    }
  });
}

/** Run by logicContract. */
export function snapshots(get: () => LogicHarness): void {
  it("lists a user's conversations by their last events, in pages", async () => {
    const entry = await attached(get);
    const bob = await online(get, entry);
    const others = [await online(get, entry), await online(get, entry), await online(get, entry)];
    const ids: string[] = [];
    for (const other of others) ids.unshift(await talk(other, bob.user, 1));
    const seen: unknown[] = [];
    for (let before = 0, pages = 1; ; pages++) {
      const answer = await entry.snapshot(bob.conn, { inboxEpoch: get().store.epoch, before, limit: 2 });
      assert.ok(answer.kind === "ok");
      const { heads, head, nextBefore, inboxEpoch } = answer.body;
      assert.deepEqual([head, inboxEpoch], [3, get().store.epoch]);
      for (const { conversationId, lastSeq, lastEvent, unread } of heads)
        seen.push([conversationId, lastSeq, lastEvent?.convSeq, unread]);
      before = nextBefore;
      if (nextBefore > 0) continue;
      assert.equal(pages, 2);
      break;
    }
    assert.deepEqual(
      seen,
      ids.map((id) => [id, 1, 1, 1]),
    );
  });

  it("refuses a snapshot of another epoch and a position that cannot be", async () => {
    const bob = await online(get, await attached(get));
    const other = await bob.entry.snapshot(bob.conn, { inboxEpoch: "elsewhere" });
    assert.ok(other.kind === "error" && other.error.code === ErrorCode.CURSOR_INVALID);
    const wrong = await bob.entry.snapshot(bob.conn, { before: Number.MAX_SAFE_INTEGER + 1 });
    assert.ok(wrong.kind === "error" && wrong.error.code === ErrorCode.BAD_REQUEST);
    assert.equal((await bob.entry.snapshot(bob.conn, {})).kind, "ok");
  });

  it("says that a gap is too long only to clients that can take a snapshot", async () => {
    const entry = await attached(get);
    const bob = await online(get, entry);
    const { store } = get();
    const group = `g-${bob.user}`;
    await get().createConversation(group, [bob.user]);
    for (let part = 0; part < 5; part++) {
      const batch = Array.from({ length: part === 4 ? 1 : 500 }, (_, at) =>
        groupMessage(idOf(get, bob.user), group, part * 500 + at),
      );
      await store.append(batch);
    }
    const epoch = store.epoch;
    const long = await entry.sync(bob.conn, { inboxEpoch: epoch, cursor: 0, canSnapshot: true });
    assert.ok(long.kind === "ok");
    const { events, gapTooLong, nextCursor, head, more } = long.body;
    assert.deepEqual([events.length, gapTooLong, nextCursor, head, more], [0, true, 0, 2001, true]);
    const short = await entry.sync(bob.conn, { inboxEpoch: epoch, cursor: 1, canSnapshot: true, limit: 1 });
    assert.ok(short.kind === "ok" && !short.body.gapTooLong && short.body.events[0]?.inboxSeq === 2);
    const old = await entry.sync(bob.conn, { inboxEpoch: epoch, cursor: 0, limit: 1 });
    assert.ok(old.kind === "ok" && !old.body.gapTooLong && old.body.events[0]?.inboxSeq === 1);
    const again = async (hello: object) => {
      const login = await entry.login(nextConn(), await get().token(bob.user), hello);
      assert.ok(login.kind === "ok" && login.welcome.firstPage);
      return login.welcome.firstPage;
    };
    const told = await again({ inboxEpoch: epoch, caps: ["snapshot"] });
    assert.deepEqual([told.gapTooLong, told.events.length, told.head], [true, 0, 2001]);
    const cold = await again({ inboxEpoch: epoch });
    assert.ok(!cold.gapTooLong && cold.events.length > 100 && cold.more);
    const pageBytes = (await again({ inboxEpoch: epoch, inboxCursor: 1, caps: ["snapshot"] })).events.length;
    assert.ok(pageBytes > 100);
  });
}

const groupMessage = (sender: string, conversationId: string, number: number) => ({
  sender,
  clientMessageId: `m-${number}`,
  payloadHash: Buffer.alloc(32, number % 250),
  conversationId,
  peer: "",
  messageId: `00000000-0000-7000-8000-${number.toString(16).padStart(12, "0")}`,
  contentType: "",
  content: Buffer.from(`${number}`),
  sentAtMs: Date.now(),
});
