// SPDX-License-Identifier: Apache-2.0
// Snapshots after a long absence, and reading conversations by their seq.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EPOCH, eventAt, type FakeConnection, setup, turn, until } from "../test/fake-server.ts";
import type { ConversationHead, SyncPage } from "./codec.ts";
import { ClientCode, Command, ErrorCode } from "./codes.ts";
import type { SnapshotNotice } from "./events.ts";
import { MemoryStore } from "./store.ts";

const tooLong = (head: number): SyncPage => ({
  inboxEpoch: EPOCH,
  events: [],
  nextCursor: 0,
  head,
  more: true,
  gapTooLong: true,
});
const headOf = (conversationId: string, inboxSeq: number): ConversationHead => ({
  conversationId,
  lastSeq: 7,
  inboxSeq,
  unread: 2,
  lastEvent: eventAt(inboxSeq, { conversationId }),
  lastAtMs: 1_700_000_000_000,
});

function away(options = {}) {
  const store = new MemoryStore();
  store.save({ userId: "alice", epoch: EPOCH, cursor: 10 });
  const world = setup({ store, snapshot: true, ...options });
  const pages: SnapshotNotice[] = [];
  world.client.on("snapshot", (page) => pages.push(page));
  return { ...world, store, pages };
}
const idsOf = (pages: readonly SnapshotNotice[]): string[][] =>
  pages.map((page) => page.conversations.map(({ conversationId }) => conversationId));

describe("snapshot", () => {
  it("takes the place of a gap that is too long: pages, then the cursor jumps and messages go on", async () => {
    const { client, server, clock, shown, store, pages } = away();
    client.connect();
    const entry = await server.accept();
    assert.deepEqual((await entry.hello()).caps, ["snapshot"]);
    entry.welcome({ inboxHead: 9000, firstPage: tooLong(9000) });
    const first = await entry.nextSnapshot();
    assert.deepEqual([first.inboxEpoch, first.before], [EPOCH, 0]);
    entry.push(eventAt(9001), eventAt(9002));
    entry.snapshotPage(first.rid, { heads: [headOf("a", 9000), headOf("b", 8000)], head: 9000, nextBefore: 8000 });
    const second = await entry.nextSnapshot();
    assert.equal(second.before, 8000);
    assert.deepEqual(shown, []);
    clock.advance(5000);
    await turn();
    assert.ok(!entry.frames.some(({ cmd }) => cmd === Command.SYNC), "nothing is pulled meanwhile");
    entry.snapshotPage(second.rid, { heads: [headOf("c", 7000), headOf("a", 6000)], head: 9002, nextBefore: 0 });
    await until(() => shown.length === 2);
    assert.deepEqual(shown, ["text 9001", "text 9002"]);
    assert.deepEqual(idsOf(pages), [["a", "b"], ["c"]]);
    assert.deepEqual(
      pages.map(({ isFirst, isLast, from, to }) => [isFirst, isLast, from, to]),
      [
        [true, false, 10, 9000],
        [false, true, 10, 9000],
      ],
    );
    const [conversation] = pages[0]?.conversations ?? [];
    assert.deepEqual(
      [conversation?.lastSeq, conversation?.unread, conversation?.lastMessage?.text],
      [7, 2, "text 9000"],
    );
    clock.advance(1000);
    await turn();
    assert.deepEqual(store.load(), { userId: "alice", epoch: EPOCH, cursor: 9002 });
    await client.close();
  });

  it("goes on after a reconnect, and pulls what came behind it", async () => {
    const { client, server, clock, shown, pages } = away();
    client.connect();
    const entry = await server.login({ inboxHead: 9000, firstPage: tooLong(9000) });
    await entry.nextSnapshot();
    entry.drop();
    clock.advance(5000);
    const next = await server.login({ inboxHead: 9001, firstPage: tooLong(9001) });
    const request = await next.nextSnapshot();
    next.snapshotPage(request.rid, { heads: [headOf("a", 9001)], head: 9001, nextBefore: 0 });
    await until(() => pages.length === 1);
    next.pong(0, 9002);
    const sync = await next.nextSync();
    assert.deepEqual([sync.cursor, sync.canSnapshot], [9001, true]);
    next.page(sync.rid, { events: [eventAt(9002)], nextCursor: 9002, head: 9002 });
    await until(() => shown.length === 1);
    assert.equal(next.frames.filter(({ cmd }) => cmd === Command.SNAPSHOT).length, 0, "asked once");
    await client.close();
  });

  it("begins anew when the inbox is another one by now", async () => {
    const { client, server, clock, shown, pages } = away();
    client.on("reset", ({ epoch }) => shown.push(`reset ${epoch}`));
    client.connect();
    const entry = await server.login({ inboxHead: 9000, firstPage: tooLong(9000) });
    entry.error((await entry.nextSnapshot()).rid, ErrorCode.CURSOR_INVALID);
    await until(() => entry.isClosed);
    clock.advance(5000);
    const next = await server.login({
      inboxEpoch: "epoch-2",
      inboxHead: 1,
      firstPage: {
        ...tooLong(1),
        inboxEpoch: "epoch-2",
        events: [eventAt(1)],
        nextCursor: 1,
        more: false,
        gapTooLong: false,
      },
    });
    await until(() => shown.includes("text 1"));
    assert.deepEqual(shown, ["reset epoch-2", "text 1"]);
    assert.equal(pages.length, 0);
    assert.ok(!next.isClosed);
    await client.close();
  });

  it("ends with the client, also when a listener closes it", async () => {
    const { client, server, pages } = away();
    client.on("snapshot", () => void client.close());
    client.connect();
    const entry = await server.login({ inboxHead: 9000, firstPage: tooLong(9000) });
    const request = await entry.nextSnapshot();
    entry.snapshotPage(request.rid, { heads: [headOf("a", 9000)], head: 9000, nextBefore: 9000 });
    await until(() => client.state.kind === "closed");
    await turn();
    assert.equal(pages.length, 1);
    assert.equal(entry.frames.filter(({ cmd }) => cmd === Command.SNAPSHOT).length, 0);
  });
});

describe("an inbox that begins anew", () => {
  const messageId = (time: number): string => `0190-${String(time).padStart(8, "0")}`;
  const page = (inboxEpoch: string, ...events: ReturnType<typeof eventAt>[]): SyncPage => {
    const head = events.at(-1)?.inboxSeq ?? 0;
    return { ...tooLong(head), inboxEpoch, events, nextCursor: head, more: false, gapTooLong: false };
  };

  it("shows nothing twice that this client has shown, and everything else", async () => {
    const { client, server, clock, shown } = setup();
    client.connect();
    const old = [1, 2, 3].map((seq) => eventAt(seq, { messageId: messageId(seq) }));
    const entry = await server.login({ inboxHead: 3, firstPage: page(EPOCH, ...old) });
    entry.kick(4010);
    clock.advance(5000);
    const other = { messageId: messageId(9), content: new TextEncoder().encode("new 3") };
    const restored = [old[0] ?? eventAt(1), old[1] ?? eventAt(2), eventAt(3, other)];
    const next = await server.login({ inboxEpoch: "epoch-2", inboxHead: 3 });
    const sync = await next.nextSync();
    assert.deepEqual([sync.inboxEpoch, sync.cursor], ["epoch-2", 0]);
    next.page(sync.rid, page("epoch-2", ...restored));
    await until(() => shown.length >= 4);
    await turn();
    assert.deepEqual(shown, ["text 1", "text 2", "text 3", "new 3"]);
    await client.close();
  });

  it("shows another user's inbox whole", async () => {
    const { client, server, clock, shown } = setup();
    client.connect();
    const entry = await server.login({ inboxHead: 1, firstPage: page(EPOCH, eventAt(1)) });
    entry.drop();
    clock.advance(5000);
    const next = await server.login({ userId: "eve", inboxHead: 1 });
    next.page((await next.nextSync()).rid, page(EPOCH, eventAt(1)));
    await until(() => shown.length === 2);
    await client.close();
  });
});

describe("history", () => {
  const online = async (): Promise<ReturnType<typeof setup> & { entry: FakeConnection }> => {
    const world = setup();
    world.client.connect();
    return { ...world, entry: await world.server.login() };
  };

  it("reads before, after and the newest, oldest first", async () => {
    const { client, entry } = await online();
    for (const [options, expected] of [
      [{}, [0, false, 0]],
      [{ before: 40, limit: 20 }, [40, false, 20]],
      [{ after: 0 }, [0, true, 0]],
      [{ after: 7, limit: 3 }, [7, true, 3]],
    ] as const) {
      const result = client.history("c1", options);
      const request = await entry.nextHistory();
      assert.deepEqual([request.from, request.forward, request.limit], expected);
      entry.historyPage(request.rid, { events: [eventAt(0, { convSeq: 8 })], lastSeq: 9, firstSeq: 2, more: true });
      const { messages, lastSeq, firstSeq, more } = await result;
      assert.deepEqual([messages[0]?.convSeq, messages[0]?.own, lastSeq, firstSeq, more], [8, false, 9, 2, true]);
    }
    await assert.rejects(client.history("c1", { before: 4, after: 2 }), { code: ErrorCode.BAD_REQUEST });
    await client.close();
  });

  it("asks again over overload, lost answers and reconnects, and reports what a repetition cannot cure", async () => {
    const { client, entry, clock, server } = await online();
    const result = client.history("c1");
    entry.error((await entry.nextHistory()).rid, ErrorCode.BUSY, { retryable: true, retryAfterMs: 100 });
    clock.advance(1000);
    await entry.nextHistory();
    clock.advance(10_000);
    await entry.nextHistory();
    entry.error(0, ErrorCode.RETRYABLE, { retryable: true });
    clock.advance(5000);
    await entry.nextHistory();
    entry.drop();
    clock.advance(5000);
    const next = await server.login();
    next.historyPage((await next.nextHistory()).rid, { lastSeq: 1, firstSeq: 1 });
    assert.equal((await result).lastSeq, 1);
    const denied = client.history("c2");
    next.error((await next.nextHistory()).rid, ErrorCode.PERMISSION_DENIED);
    await assert.rejects(denied, { code: ErrorCode.PERMISSION_DENIED });
    await client.close();
  });

  it("ends by its signal, by the close, and before a connection was there", async () => {
    const { client, entry } = await online();
    const abort = new AbortController();
    const aborted = client.history("c1", { signal: abort.signal });
    abort.abort();
    await assert.rejects(aborted, { code: ClientCode.ABORTED });
    await assert.rejects(client.history("c1", { signal: AbortSignal.abort() }), { code: ClientCode.ABORTED });
    const closed = client.history("c1");
    const ended = assert.rejects(closed, { code: ClientCode.CLOSED });
    await client.close();
    await ended;
    await assert.rejects(client.history("c1"), { code: ClientCode.CLOSED });
    assert.ok(entry.isClosed);
    const early = setup();
    early.client.connect();
    const asked = early.client.history("c1");
    const other = await early.server.login();
    other.historyPage((await other.nextHistory()).rid, { lastSeq: 3 });
    assert.equal((await asked).lastSeq, 3);
    await early.client.close();
  });

  it("refuses more questions than it can keep", async () => {
    const { client } = await online();
    const asked = Array.from({ length: 64 }, () => assert.rejects(client.history("c1"), { code: ClientCode.CLOSED }));
    await assert.rejects(client.history("c1"), { code: ClientCode.OUTBOX_FULL });
    await client.close();
    await Promise.all(asked);
  });
});
