// SPDX-License-Identifier: Apache-2.0
// The sending half of the client against a scripted entry.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventAt, setup, turn } from "../test/fake-server.ts";
import { ClientCode, ErrorCode } from "./codes.ts";
import { ImClientError } from "./errors.ts";

async function online() {
  const all = setup();
  all.client.connect();
  const entry = await all.server.login();
  await all.client.ready();
  return { ...all, entry };
}

describe("send", () => {
  it("settles with the server's answer; the own position counts as applied and is not shown", async () => {
    const { client, entry, shown } = await online();
    const sending = client.send({ to: "bob", content: "你好", contentType: "text/markdown", id: "k1" });
    const send = await entry.nextSend();
    assert.deepEqual(
      [send.to, send.conversationId, send.clientMessageId, send.contentType, new TextDecoder().decode(send.content)],
      ["bob", "", "k1", "text/markdown", "你好"],
    );
    entry.ack(send, { convSeq: 7, inboxSeq: 1, duplicate: true, conversationId: "c9" });
    assert.deepEqual(await sending, {
      id: "k1",
      messageId: "id-k1",
      conversationId: "c9",
      convSeq: 7,
      sentAtMs: 1_700_000_000_000,
      duplicate: true,
    });
    entry.push(eventAt(2));
    entry.push(eventAt(1, { sender: "alice", clientMessageId: "k1" }));
    assert.deepEqual(shown, ["text 2"]);
    await client.close();
  });

  it("makes ids of 128 random bits", async () => {
    const { client, entry } = await online();
    void client.send({ to: "a", content: "" }).catch(() => {});
    void client.send({ to: "b", content: "" }).catch(() => {});
    const ids = [(await entry.nextSend()).clientMessageId, (await entry.nextSend()).clientMessageId];
    assert.notEqual(ids[0], ids[1]);
    for (const id of ids) assert.match(id, /^[0-9a-f]{32}$/);
    await client.close();
  });

  it("waits for the connection, survives its loss, and keeps the id", async () => {
    const { client, server, clock } = setup();
    const sending = client.send({ conversationId: "c1", content: new Uint8Array([1, 2]) });
    client.connect();
    const first = await server.login();
    const { clientMessageId } = await first.nextSend();
    first.drop();
    clock.advance(20_000);
    const second = await server.login();
    const again = await second.nextSend();
    assert.equal(again.clientMessageId, clientMessageId);
    second.ack(again);
    assert.equal((await sending).id, clientMessageId);
    assert.deepEqual([client.stats.resent, client.stats.reconnects], [1, 1]);
    await client.close();
  });

  it("a lost ack is settled by the event in the inbox, without a resend", async () => {
    const { client, server, clock, entry, shown } = await online();
    const sending = client.send({ to: "bob", content: "x", id: "k1" });
    await entry.nextSend();
    entry.drop();
    clock.advance(20_000);
    const own = eventAt(1, { sender: "alice", clientMessageId: "k1", messageId: "m-k1", convSeq: 4 });
    const page = { inboxEpoch: "epoch-1", events: [own], nextCursor: 1, head: 1, more: false, gapTooLong: false };
    const next = await server.login({ inboxHead: 1, firstPage: page });
    assert.deepEqual(await sending.then((r) => [r.messageId, r.convSeq, r.duplicate]), ["m-k1", 4, false]);
    await turn();
    assert.deepEqual([shown, client.stats.resent, next.frames.filter((f) => f.cmd === 16).length], [[], 0, 0]);
    await client.close();
  });

  it("somebody else's message with the same client id settles nothing", async () => {
    const { client, entry, shown } = await online();
    let isSettled = false;
    const sending = client.send({ to: "bob", content: "x", id: "k1" }).finally(() => {
      isSettled = true;
    });
    entry.push(eventAt(1, { clientMessageId: "k1" }));
    await turn();
    assert.deepEqual([isSettled, shown], [false, ["text 1"]]);
    entry.ack(await entry.nextSend());
    await sending;
    await client.close();
  });

  it("messages of the user's other devices are shown as own", async () => {
    const { client, entry } = await online();
    const owns: boolean[] = [];
    client.on("message", ({ own }) => owns.push(own));
    entry.push(eventAt(1, { sender: "alice", clientMessageId: "from-the-phone" }), eventAt(2));
    assert.deepEqual(owns, [true, false]);
    await client.close();
  });

  it("ERROR without a request id makes it write again what is in flight", async () => {
    const { client, entry, clock } = await online();
    const sending = client.send({ to: "bob", content: "x" });
    await entry.nextSend();
    entry.error(0, ErrorCode.RETRYABLE, { retryable: true });
    clock.advance(200);
    entry.ack(await entry.nextSend());
    await sending;
    await client.close();
  });

  it("an error that answers the request by its id alone is understood", async () => {
    const { client, entry, clock } = await online();
    const sending = client.send({ to: "bob", content: "x" });
    const { rid } = await entry.nextSend();
    entry.error(rid, ErrorCode.BUSY, { retryable: true, retryAfterMs: 700 });
    clock.advance(800);
    entry.ack(await entry.nextSend());
    await sending;
    await client.close();
  });

  it("a refusal says when to come again, if the server did", async () => {
    const { client, entry } = await online();
    for (const [retryAfterMs, code] of [
      [5_000, ErrorCode.BOUNCED],
      [0, ErrorCode.BOUNCED],
      [3_000, ErrorCode.PERMISSION_DENIED],
    ] as const) {
      const sending = client.send({ to: "bob", content: "x" });
      const { rid } = await entry.nextSend();
      entry.error(rid, code, { reason: "too many", rule: "pace", retryAfterMs });
      const about = { message: "too many", rule: "pace", retryable: false };
      await assert.rejects(sending, { ...about, code, retryAfterMs });
    }
    const asking = client.history("c1");
    const { rid } = await entry.nextHistory();
    entry.error(rid, ErrorCode.RATE_LIMITED, { retryAfterMs: 250 });
    await assert.rejects(asking, { codeName: "RATE_LIMITED", retryable: true, retryAfterMs: 250 });
    assert.equal(new ImClientError(ErrorCode.BUSY, "of one's own").retryAfterMs, 0);
    await client.close();
  });

  it("a final error rejects, with the message that holds the key on a conflict", async () => {
    const { client, entry } = await online();
    const sending = client.send({ to: "bob", content: "x" });
    const { rid } = await entry.nextSend();
    entry.error(rid, ErrorCode.CONFLICT, { messageId: "m7" });
    await assert.rejects(sending, (error) => {
      assert.ok(error instanceof ImClientError);
      assert.deepEqual([error.code, error.codeName, error.retryable, error.messageId], [6, "CONFLICT", false, "m7"]);
      return true;
    });
    await client.close();
  });

  it("says at once what can never work", async () => {
    const { client } = setup();
    const bad = [
      { content: "x" },
      { to: "bob", conversationId: "c1", content: "x" },
      { to: "bob", content: "x", id: "" },
      { to: "bob", content: "x", id: "k".repeat(65) },
    ];
    for (const request of bad) await assert.rejects(client.send(request), { code: ErrorCode.BAD_REQUEST });
    await assert.rejects(client.send({ to: "bob", content: new Uint8Array(65_537) }), { code: ErrorCode.TOO_LARGE });
    await client.close();
    await assert.rejects(client.send({ to: "bob", content: "x" }), { code: ClientCode.CLOSED, retryable: false });
  });

  it("an aborted send rejects with ABORTED and is not written any more", async () => {
    const { client, server } = setup();
    const controller = new AbortController();
    const sending = client.send({ to: "bob", content: "x", signal: controller.signal });
    controller.abort(new Error("left the page"));
    await assert.rejects(sending, { code: ClientCode.ABORTED, retryable: true });
    await assert.rejects(client.send({ to: "bob", content: "x", signal: AbortSignal.abort() }), {
      code: ClientCode.ABORTED,
    });
    client.connect();
    const entry = await server.login();
    await client.ready();
    await turn();
    assert.deepEqual([entry.frames.length, client.stats.outbox], [0, 0]);
    await client.close();
  });

  it("close rejects what is not acknowledged", async () => {
    const { client, entry } = await online();
    const sending = client.send({ to: "bob", content: "x" });
    await entry.nextSend();
    await Promise.all([assert.rejects(sending, { code: ClientCode.CLOSED }), client.close()]);
  });
});
