// SPDX-License-Identifier: Apache-2.0
// The receiving half of the client against a scripted entry.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EPOCH, eventAt, setup, turn, until } from "../test/fake-server.ts";
import { Limits, SyncPage } from "./codec.ts";
import { Command, ErrorCode } from "./codes.ts";
import { MemoryStore, type StoredCursor } from "./store.ts";

const events = (...seqs: number[]) => seqs.map((seq) => eventAt(seq));
const texts = (...seqs: number[]) => seqs.map((seq) => `text ${seq}`);
const firstPage = (seqs: number[], head: number) =>
  SyncPage.decode(
    SyncPage.encode({
      inboxEpoch: EPOCH,
      events: events(...seqs),
      nextCursor: seqs.at(-1) ?? 0,
      head,
      more: (seqs.at(-1) ?? 0) < head,
      gapTooLong: false,
    }),
  );

describe("login", () => {
  it("HELLO says who and where; WELCOME's first page is shown, the rest is pulled", async () => {
    const store = new MemoryStore();
    store.save({ userId: "alice", epoch: EPOCH, cursor: 3 });
    const { client, server, shown } = setup({ store, platform: "ios", deviceName: "iPhone", appVersion: "1.2" });
    client.connect();
    const entry = await server.accept();
    const hello = await entry.hello();
    assert.deepEqual(
      [hello.protoMin, hello.protoMax, hello.token, hello.deviceId, hello.platform, hello.deviceName, hello.appVersion],
      [1, 1, "token", "device-1", "ios", "iPhone", "1.2"],
    );
    assert.deepEqual([hello.inboxEpoch, hello.inboxCursor], [EPOCH, 3]);
    entry.welcome({ inboxHead: 8, firstPage: firstPage([4, 5], 8) });
    const sync = await entry.nextSync();
    assert.deepEqual([sync.inboxEpoch, sync.cursor], [EPOCH, 5]);
    entry.page(sync.rid, { events: events(6, 7), nextCursor: 7, head: 8, more: true });
    const second = await entry.nextSync();
    assert.equal(second.cursor, 7);
    entry.page(second.rid, { events: events(8), nextCursor: 8, head: 8 });
    assert.deepEqual(shown, texts(4, 5, 6, 7, 8));
    const { state } = client;
    assert.deepEqual(state, { kind: "open", userId: "alice", sessionId: "s1", entryId: "entry-a" });
    await client.close();
  });

  it("begins anew when the epoch changed, and says so before the first message", async () => {
    const store = new MemoryStore();
    store.save({ userId: "alice", epoch: "old", cursor: 30 });
    const { client, server, shown } = setup({ store });
    client.on("reset", ({ epoch }) => shown.push(`reset ${epoch}`));
    client.connect();
    const entry = await server.login({ inboxHead: 2, firstPage: firstPage([1], 2) });
    const sync = await entry.nextSync();
    assert.equal(sync.cursor, 0);
    entry.page(sync.rid, { events: events(1, 2), nextCursor: 2, head: 2 });
    assert.deepEqual(shown, [`reset ${EPOCH}`, ...texts(1, 2)]);
    await client.close();
    assert.deepEqual(store.load(), { userId: "alice", epoch: EPOCH, cursor: 2 });
  });

  it("a store that cannot load closes the client rather than show everything again", async () => {
    const load = (): never => {
      throw new Error("disk");
    };
    const { client } = setup({ store: { load, save() {} } });
    client.connect();
    await assert.rejects(client.ready(), /disk/);
    assert.equal(client.state.kind, "closed");
  });
});

describe("pushes", () => {
  it("shows each once and in order, and waits a while before it pulls a hole", async () => {
    const { client, server, clock, shown } = setup();
    client.connect();
    const entry = await server.login();
    await client.ready();
    entry.push(...events(1, 2));
    entry.push(...events(4));
    entry.push(...events(2, 1, 4));
    assert.deepEqual(shown, texts(1, 2));
    clock.advance(499);
    await turn();
    assert.equal(client.stats.pulls, 0);
    clock.advance(1);
    const sync = await entry.nextSync();
    assert.equal(sync.cursor, 2);
    entry.page(sync.rid, { events: events(3, 4), nextCursor: 4, head: 4 });
    assert.deepEqual(shown, texts(1, 2, 3, 4));
    await client.close();
  });

  it("a hole that fills by itself is not pulled", async () => {
    const { client, server, clock, shown } = setup();
    client.connect();
    const entry = await server.login();
    await client.ready();
    entry.push(...events(2));
    clock.advance(400);
    entry.push(...events(1));
    clock.advance(1_000);
    await turn();
    assert.deepEqual([shown, client.stats.pulls], [texts(1, 2), 0]);
    await client.close();
  });

  it("PONG with a head above the cursor pulls, asked or not", async () => {
    const { client, server, shown } = setup();
    client.connect();
    const entry = await server.login();
    await client.ready();
    entry.pong(0, 1);
    const sync = await entry.nextSync();
    entry.page(sync.rid, { events: events(1), nextCursor: 1, head: 1 });
    entry.pong(0, 1);
    await turn();
    assert.deepEqual([shown, client.stats.pulls], [texts(1), 1]);
    await client.close();
  });

  it("keeps one SYNC under way, repeats it when refused or unanswered, and is content in the end", async () => {
    const { client, server, clock, shown } = setup();
    client.connect();
    const entry = await server.login({ inboxHead: 3 });
    const first = await entry.nextSync();
    entry.pong(0, 3);
    await turn();
    assert.equal(client.stats.pulls, 1);
    entry.error(first.rid, ErrorCode.BUSY, { retryable: true, retryAfterMs: 1_000 });
    clock.advance(1_099);
    await turn();
    assert.equal(client.stats.pulls, 1);
    clock.advance(1);
    await entry.nextSync();
    clock.advance(10_000 + 200);
    const third = await entry.nextSync();
    entry.page(third.rid, { events: events(1, 2, 3), nextCursor: 3, head: 3 });
    clock.advance(60_000);
    await turn();
    assert.deepEqual([shown, client.stats.pulls], [texts(1, 2, 3), 3]);
    await client.close();
  });

  it("a page without progress is asked again with backoff, not at once", async () => {
    const { client, server, clock } = setup();
    client.connect();
    const entry = await server.login({ inboxHead: 3 });
    const sync = await entry.nextSync();
    entry.page(sync.rid, { events: [], nextCursor: 0, head: 3, more: true });
    await turn();
    assert.equal(client.stats.pulls, 1);
    clock.advance(500);
    await entry.nextSync();
    await client.close();
  });

  it("CURSOR_INVALID logs in again from the beginning, and says so once", async () => {
    const { client, server, clock, shown } = setup();
    client.on("reset", ({ epoch }) => shown.push(`reset ${epoch}`));
    client.connect();
    const entry = await server.login({ inboxHead: 9, firstPage: firstPage([7], 9) });
    const sync = await entry.nextSync();
    entry.error(sync.rid, ErrorCode.CURSOR_INVALID);
    clock.advance(20_000);
    const next = await server.accept();
    assert.deepEqual(await next.hello().then((h) => [h.inboxEpoch, h.inboxCursor]), ["", 0]);
    next.welcome({ inboxHead: 2, firstPage: firstPage([1, 2], 2) });
    // Seqs 1 and 2 of the conversation of text 7 are behind what the application has.
    assert.deepEqual(shown, [...texts(7), `reset ${EPOCH}`]);
    next.push(eventAt(3, { convSeq: 8, messageId: "m8", content: new TextEncoder().encode("text 8") }));
    assert.deepEqual(shown, [...texts(7), `reset ${EPOCH}`, ...texts(8)]);
    next.drop();
    clock.advance(20_000);
    await server.login({ inboxHead: 3, firstPage: firstPage([], 3) });
    await client.ready();
    assert.equal(shown.filter((text) => text.startsWith("reset")).length, 1);
    await client.close();
  });

  it("messages carry who, what and whose", async () => {
    const { client, server } = setup();
    const messages = client.messages();
    client.connect();
    const entry = await server.login();
    await client.ready();
    const content = new TextEncoder().encode("你好 👋🏽");
    entry.push(
      eventAt(1, { content, sender: "alice", contentType: "text/markdown" }),
      eventAt(2, { content: new Uint8Array() }),
    );
    const own = (await messages.next()).value;
    assert.deepEqual(
      [own?.text, own?.own, own?.contentType, own?.sender],
      ["你好 👋🏽", true, "text/markdown", "alice"],
    );
    const other = (await messages.next()).value;
    assert.deepEqual([other?.text, other?.own, other?.contentType, other?.convSeq], ["", false, "text/plain", 2]);
    await client.close();
    assert.deepEqual(await messages.next(), { done: true, value: undefined });
  });

  it("a listener that throws does not stop the others", async (t) => {
    const thrown: unknown[] = [];
    const listeners = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.on("uncaughtException", (error) => thrown.push(error));
    t.after(() => {
      process.removeAllListeners("uncaughtException");
      for (const listener of listeners) process.on("uncaughtException", listener);
    });
    const { client, server } = setup();
    const seen: number[] = [];
    client.on("message", () => {
      throw new Error("application bug");
    });
    client.on("message", ({ inboxSeq }) => seen.push(inboxSeq));
    client.connect();
    const entry = await server.login();
    await client.ready();
    entry.push(...events(1, 2));
    assert.deepEqual(seen, [1, 2]);
    await until(() => thrown.length === 2, "the errors outside");
    await client.close();
  });
});

describe("acknowledgements", () => {
  it("are cumulative, at most one per delay, at once after a batch", async () => {
    const { client, server, clock } = setup();
    client.connect();
    const entry = await server.login();
    await client.ready();
    entry.push(...events(1, 2, 3));
    entry.push(...events(4));
    await turn();
    assert.deepEqual(entry.takeAcks(), []);
    clock.advance(200);
    await turn();
    assert.deepEqual(entry.takeAcks(), [4]);
    for (let seq = 5; seq < 5 + 64; seq++) entry.push(eventAt(seq));
    await turn();
    assert.deepEqual(entry.takeAcks(), [68]);
    clock.advance(1_000);
    await turn();
    assert.deepEqual(entry.takeAcks(), []);
    await client.close();
  });

  it("ride along with a SEND, in front of it", async () => {
    const { client, server } = setup();
    client.connect();
    const entry = await server.login();
    await client.ready();
    entry.push(...events(1));
    const sending = client.send({ to: "bob", content: "hi" });
    await until(() => entry.frames.length >= 2);
    assert.deepEqual(
      entry.frames.map((frame) => frame.cmd),
      [Command.PUSH_ACK, Command.SEND],
    );
    entry.ack(await entry.nextSend(), { inboxSeq: 2 });
    await sending;
    await client.close();
    assert.deepEqual(entry.takeAcks(), [1, 2]);
  });

  it("come after the cursor was saved, never before, and wait for a slow store", async () => {
    const log: string[] = [];
    let settle: () => void = () => {};
    const store = {
      load: () => undefined,
      save: ({ cursor }: StoredCursor) =>
        new Promise<void>((resolve) => {
          log.push(`save ${cursor}`);
          settle = resolve;
        }),
    };
    const { client, server, clock } = setup({ store });
    client.connect();
    const entry = await server.login();
    await client.ready();
    clock.advance(200);
    settle();
    await turn();
    entry.push(...events(1));
    clock.advance(200);
    entry.push(...events(2));
    clock.advance(200);
    await turn();
    assert.deepEqual([log, entry.takeAcks()], [["save 0", "save 1"], []]);
    settle();
    await turn();
    assert.deepEqual(entry.takeAcks(), [1]);
    clock.advance(200);
    settle();
    await turn();
    assert.deepEqual([log, entry.takeAcks()], [["save 0", "save 1", "save 2"], [2]]);
    await client.close();
  });

  it("a store that fails is reported, not acknowledged, and tried again", async () => {
    let isBroken = true;
    const errors: string[] = [];
    const save = (): void => {
      if (isBroken) throw new Error("disk full");
    };
    const { client, server, clock } = setup({ store: { load: () => undefined, save } });
    client.on("error", (error) => errors.push(error.codeName));
    client.connect();
    const entry = await server.login();
    await client.ready();
    entry.push(...events(1));
    clock.advance(200);
    await turn();
    assert.deepEqual([errors, entry.takeAcks()], [["STORE_FAILED"], []]);
    isBroken = false;
    clock.advance(1_000);
    await turn();
    assert.deepEqual(entry.takeAcks(), [1]);
    await client.close();
  });
});

describe("messages()", () => {
  it("a message counts as taken when the loop asks for the next", async () => {
    const store = new MemoryStore();
    const { client, server, clock } = setup({ store });
    const messages = client.messages();
    client.connect();
    const entry = await server.login();
    await client.ready();
    entry.push(...events(1, 2, 3));
    clock.advance(200);
    await turn();
    assert.deepEqual(entry.takeAcks(), []);
    await messages.next();
    await messages.next();
    clock.advance(200);
    await turn();
    assert.deepEqual([entry.takeAcks(), store.load()?.cursor], [[1], 1]);
    await client.close();
    assert.equal(store.load()?.cursor, 1);
  });

  it("a loop that lags slows the client down and loses nothing", async () => {
    const { client, server, clock, shown } = setup({ streamLimit: 4 });
    const messages = client.messages();
    client.connect();
    const entry = await server.login();
    await client.ready();
    for (let seq = 1; seq <= 7; seq++) entry.push(eventAt(seq));
    clock.advance(5_000);
    await turn();
    assert.deepEqual([shown.length, client.stats.pulls], [4, 0]);
    const seen: number[] = [];
    for (let i = 0; i < 4; i++) seen.push((await messages.next()).value?.inboxSeq ?? 0);
    entry.push(eventAt(9));
    clock.advance(500);
    const sync = await entry.nextSync();
    assert.equal(sync.cursor, 7);
    entry.page(sync.rid, { events: events(8, 9), nextCursor: 9, head: 9 });
    for (let i = 0; i < 5; i++) seen.push((await messages.next()).value?.inboxSeq ?? 0);
    assert.deepEqual(seen, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await client.close();
  });

  it("what a loop still has at close is saved as it is read, not before", async () => {
    const store = new MemoryStore();
    const { client, server } = setup({ store });
    const messages = client.messages();
    client.connect();
    const entry = await server.login();
    await client.ready();
    entry.push(...events(1, 2, 3));
    await client.close();
    const saved: (number | undefined)[] = [store.load()?.cursor];
    for await (const { inboxSeq } of messages) saved.push(inboxSeq, store.load()?.cursor);
    saved.push(store.load()?.cursor);
    assert.deepEqual(saved, [0, 1, 0, 2, 1, 3, 2, 3]);
  });

  it("break leaves the loop and frees the client from it", async () => {
    const { client, server, clock } = setup({ streamLimit: 1 });
    client.connect();
    const entry = await server.login();
    await client.ready();
    setImmediate(() => entry.push(...events(1, 2)));
    for await (const message of client.messages()) {
      assert.equal(message.inboxSeq, 1);
      break;
    }
    entry.push(...events(2, 3));
    clock.advance(200);
    await turn();
    assert.equal(entry.takeAcks().at(-1), 3);
    await client.close();
    assert.deepEqual(
      await client
        .messages()
        .next()
        .catch((error: Error) => error.message),
      "the client is closed: closed by the application",
    );
  });
});

describe("limits", () => {
  it("the server may lower the content limit", async () => {
    const { client, server } = setup();
    client.connect();
    await server.login({ limits: Limits.decode(Limits.encode({ maxContentBytes: 10 })) });
    await client.ready();
    await assert.rejects(client.send({ to: "bob", content: "12345678901" }), { code: ErrorCode.TOO_LARGE });
    await client.close();
  });
});
