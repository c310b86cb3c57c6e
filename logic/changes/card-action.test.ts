// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { Command } from "#proto/commands.ts";
import { CardAction, CardActionResult } from "#proto/gen/messages.ts";
import type { RecordInput } from "#proto/uplink/record.ts";
import { Gate } from "../gate.ts";
import { appended } from "../store/contract/fixture.ts";
import type { WebhookCall, WebhookResult } from "../webhook/webhook-sender.ts";
import { type Card, signCard } from "./card.ts";
import { CardActionHandler, type CardActionNotice, MAX_INPUT_BYTES } from "./card-action.ts";
import { changeSession, changeSetUp, errorOf, NARROW, settle } from "./change-kit.ts";

const CARD: Card = {
  ...{ type: "order", ref: "o-1", version: 4, snapshot: {} },
  actions: [{ id: "pay", label: "Pay" }],
};
const OK: WebhookResult = { kind: "answered", status: 200, body: Buffer.from("paid") };

async function setUp(
  limits = { maxRunning: 10, maxWaiting: 10, maxWaitMs: 1000 },
  [shopId, buyerId] = ["shop", "alice"],
) {
  const base = changeSetUp();
  const calls: WebhookCall[] = [];
  const shop = { answer: (): Promise<WebhookResult> | WebhookResult => OK };
  const webhooks = {
    deadlineMs: 10_000,
    post: async (call: WebhookCall): Promise<WebhookResult> => {
      calls.push(call);
      return shop.answer();
    },
  };
  const gate = new Gate({ clock: base.clock, ...limits });
  const ports = {
    ...base.ports,
    store: base.store,
    webhooks,
    gate,
    target: { url: "https://shop.example/", secret: "s" },
  };
  const handler = new CardActionHandler(ports);
  const content = Buffer.from(signCard(CARD, { id: "k", secret: randomBytes(32) }));
  const of = await base.send(shopId, buyerId, { contentType: "im/card", content, card: { ref: "o-1", version: 4 } });
  const press = async (fields: Partial<CardAction> = {}, userId = buyerId, by = handler) => {
    const { session, sent } = changeSession(userId, base.store.epoch);
    const { conversationId, convSeq, messageId } = of;
    const request = { conversationId, convSeq, messageId, action: "pay", clientActionId: "p-1", ...fields };
    by.handle(session, 5, CardAction.encode(request));
    await settle();
    return sent[0];
  };
  return { ...base, handler, ports, calls, shop, of, press };
}

const answerOf = (record: RecordInput | undefined): [number, string] => {
  assert.equal(record?.cmd, Command.CARD_ACTION, JSON.stringify(errorOf(record)));
  const { status, output } = CardActionResult.decode(record?.body ?? Buffer.alloc(0));
  return [status, Buffer.from(output).toString()];
};

describe("a button of a card", () => {
  it("asks the shop, who pressed what on which state of the card, and answers what it says", async () => {
    const { press, calls, of } = await setUp();
    assert.deepEqual(answerOf(await press({ input: Buffer.from("now") })), [200, "paid"]);
    const [call] = calls;
    assert.deepEqual([call?.url, call?.secret], ["https://shop.example/", "s"]);
    const notice = JSON.parse(call?.body ?? "") as CardActionNotice;
    assert.deepEqual(notice, {
      ...{ type: "card.action", id: call?.idempotencyKey, userId: "alice" },
      ...{ conversationId: of.conversationId, convSeq: 1, card: { type: "order", ref: "o-1", version: 4 } },
      ...{ action: "pay", input: Buffer.from("now").toString("base64") },
    });
    assert.match(notice.id, /^[0-9a-f]{32}$/);
  });

  it("of a tenant names it, and who pressed as it knows them", async () => {
    const { press, calls } = await setUp(undefined, ["acme/shop", "acme/alice"]);
    assert.deepEqual(answerOf(await press()), [200, "paid"]);
    const { tenant, userId } = JSON.parse(calls[0]?.body ?? "") as CardActionNotice;
    assert.deepEqual([tenant, userId], ["acme", "alice"]);
  });

  it("pressed again with the same key gives the first answer; with another key it is another press", async () => {
    const { press, calls, shop } = await setUp();
    assert.deepEqual(answerOf(await press()), [200, "paid"]);
    shop.answer = () => ({ kind: "answered", status: 409, body: Buffer.from("paid already") });
    assert.deepEqual(answerOf(await press()), [200, "paid"]);
    assert.equal(calls.length, 1);
    assert.deepEqual(answerOf(await press({ clientActionId: "p-2" })), [409, "paid already"]);
    assert.deepEqual(answerOf(await press({}, "shop")), [409, "paid already"], "of another user");
    assert.equal(new Set(calls.map(({ idempotencyKey }) => idempotencyKey)).size, 3);
    const other = errorOf(await press({ input: Buffer.from("other") }));
    assert.deepEqual([other.code, other.clientMessageId], [ErrorCode.CONFLICT, "p-1"]);
  });

  it("that the shop did not answer may be pressed again, and asks by the same key", async () => {
    const { press, calls, shop } = await setUp();
    shop.answer = () => ({ kind: "failed", reason: "503" });
    const failed = errorOf(await press());
    assert.deepEqual([failed.code, failed.retryable, failed.retryAfterMs > 0], [ErrorCode.RETRYABLE, true, true]);
    shop.answer = () => OK;
    assert.deepEqual(answerOf(await press()), [200, "paid"]);
    assert.deepEqual(new Set(calls.map(({ idempotencyKey }) => idempotencyKey)).size, 1);
  });

  it("that is in somebody's hand is asked for once, until that one is gone", async () => {
    const { press, calls, shop, clock } = await setUp();
    const { promise, resolve } = Promise.withResolvers<WebhookResult>();
    shop.answer = () => promise;
    assert.equal(await press(), undefined);
    assert.equal(errorOf(await press()).code, ErrorCode.RETRYABLE);
    assert.equal(calls.length, 1);
    shop.answer = () => OK;
    clock.advance(15_001);
    assert.deepEqual(answerOf(await press()), [200, "paid"]);
    resolve({ kind: "answered", status: 500, body: Buffer.from("late") });
    await settle();
    assert.deepEqual(answerOf(await press()), [200, "paid"], "the first answer that was stored stays");
  });

  it("is there for members who see the card, and says the same of unknown and forbidden conversations", async () => {
    const { press, store, send } = await setUp();
    const stranger = errorOf(await press({}, "mallory"));
    const unknown = errorOf(await press({ conversationId: "c_none" }));
    assert.deepEqual([stranger.code, stranger.reason], [unknown.code, unknown.reason]);
    assert.equal(stranger.code, ErrorCode.PERMISSION_DENIED);
    const text = await send("shop", "alice");
    for (const fields of [
      { convSeq: 9 },
      { messageId: "018f4e9e-0000-7000-8000-000000000001" },
      { convSeq: text.convSeq, messageId: text.messageId },
      { action: "refund" },
    ])
      assert.equal(errorOf(await press(fields)).code, ErrorCode.NOT_FOUND, JSON.stringify(fields));
    assert.ok(store);
  });

  it("is refused when it is no request, or too large", async () => {
    const { press, handler, store, calls } = await setUp();
    const { session, sent } = changeSession("alice", store.epoch);
    handler.handle(session, 5, Buffer.from([255]));
    assert.equal(errorOf(sent[0]).code, ErrorCode.BAD_REQUEST);
    for (const fields of [
      { clientActionId: "" },
      { action: "" },
      { action: "x".repeat(33) },
      { convSeq: 0 },
      { messageId: "" },
    ])
      assert.equal(errorOf(await press(fields)).code, ErrorCode.BAD_REQUEST, JSON.stringify(fields));
    const large = await press({ input: Buffer.alloc(MAX_INPUT_BYTES + 1) });
    assert.equal(errorOf(large).code, ErrorCode.TOO_LARGE);
    answerOf(await press({ input: Buffer.alloc(MAX_INPUT_BYTES) }));
    assert.equal(calls.length, 1);
  });

  it("of a cluster without a backend, or with one at a forbidden address, is a stable refusal", async () => {
    const { press, ports, shop, faults } = await setUp();
    const none = new CardActionHandler({ ...ports, target: undefined });
    assert.equal(errorOf(await press({}, "alice", none)).code, ErrorCode.PERMISSION_DENIED);
    shop.answer = () => ({ kind: "forbidden", reason: "the webhook leads to a private address" });
    const forbidden = errorOf(await press());
    assert.deepEqual([forbidden.code, forbidden.retryable], [ErrorCode.INTERNAL, false]);
    assert.doesNotMatch(forbidden.reason, /private/);
    assert.match(faults.join(), /private address/);
  });

  it("is bounded: per session, and in all", async () => {
    const { handler, store, of, shop, clock } = await setUp(NARROW);
    shop.answer = () => new Promise(() => undefined);
    const { session, sent } = changeSession("alice", store.epoch);
    const { conversationId, convSeq, messageId } = of;
    for (let at = 0; at < 11; at++) {
      const clientActionId = `p-${at}`;
      handler.handle(
        session,
        at,
        CardAction.encode({ conversationId, convSeq, messageId, action: "pay", clientActionId }),
      );
    }
    await settle();
    const codes = sent.map((record) => errorOf(record).code);
    assert.deepEqual(codes, [...Array(8).fill(ErrorCode.BUSY), ErrorCode.RATE_LIMITED]);
    assert.ok(errorOf(sent.at(-1)).retryAfterMs > 0);
    clock.advance(500);
    handler.handle(
      session,
      20,
      CardAction.encode({ conversationId, convSeq, messageId, action: "pay", clientActionId: "x" }),
    );
    assert.equal(errorOf(sent.at(-1)).code, ErrorCode.BUSY);
  });

  it("says RETRYABLE when the store is away", async () => {
    const { press, store } = await setUp();
    store.changes.claimPress = () => Promise.reject(new ImError(ErrorCode.RETRYABLE, "away"));
    assert.equal(errorOf(await press()).code, ErrorCode.RETRYABLE);
    assert.ok(appended);
  });
});
