// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { directConversationId } from "../send/conversation.ts";
import { appended } from "../store/contract/fixture.ts";
import { type Card, readCard, signCard } from "./card.ts";
import { CardDesk, type CardUpdate } from "./card-desk.ts";
import type { CardKey } from "./card-keys.ts";
import { changeSetUp } from "./change-kit.ts";

const KEY: CardKey = { id: "k1", secret: randomBytes(32) };
const ORDER: Card = {
  ...{ type: "order", ref: "o-1", version: 1, snapshot: { state: "new" } },
  actions: [{ id: "pay", label: "Pay" }],
};
const conversationId = directConversationId("alice", "shop");

async function setUp(keys: readonly CardKey[] = [KEY]) {
  const base = changeSetUp();
  const now = { keys };
  const cards = new CardDesk({ ...base.ports, store: base.store, keys: () => now.keys });
  const post = async (card: Card = ORDER, clientMessageId = "c-1") => {
    const input = cards.messageOf({ sender: "shop", clientMessageId, conversationId, peer: "alice", card });
    return appended((await base.store.append([input]))[0]);
  };
  const update = (fields: Partial<CardUpdate>) =>
    cards.update({
      conversationId,
      ref: "o-1",
      version: 2,
      snapshot: { state: "paid" },
      service: "svc:orders",
      isOwn: () => true,
      ...fields,
    });
  const shown = async (): Promise<Card | undefined> => {
    const place = await base.store.changes.findCard(conversationId, "o-1");
    return place && readCard(place.content);
  };
  return { ...base, cards, now, post, update, shown };
}

describe("cards of clients", () => {
  it("are items that the shop signed", async () => {
    const { cards, now } = await setUp();
    const item: Card = { ...ORDER, type: "item" };
    assert.deepEqual(cards.check(Buffer.from(signCard(item, KEY))), item);
    assert.match(String(cards.check(Buffer.from(signCard(ORDER, KEY)))), /order come from the shop only/);
    const forged = { id: "k1", secret: randomBytes(32) };
    assert.match(String(cards.check(Buffer.from(signCard(item, forged)))), /not signed/);
    now.keys = [{ ...forged, id: "k2" }, KEY];
    assert.deepEqual(cards.check(Buffer.from(signCard(item, KEY))), item, "the key before is good still");
    now.keys = [];
    assert.match(String(cards.check(Buffer.from(signCard(item, KEY)))), /takes no cards/);
  });
});

describe("cards of backends", () => {
  it("are signed messages, the same ones when they are sent again", async () => {
    const { cards, now, post } = await setUp();
    const of = await post();
    now.keys = [{ id: "k2", secret: randomBytes(32) }, KEY];
    assert.deepEqual((await post()).messageId, of.messageId);
    const input = cards.messageOf({ sender: "shop", clientMessageId: "c", conversationId, peer: "alice", card: ORDER });
    assert.equal(input.contentType, "im/card");
    assert.deepEqual(input.card, { ref: "o-1", version: 1 });
    assert.throws(() => cards.messageOf({ ...input, card: { ...ORDER, ref: "" } }), { code: ErrorCode.BAD_REQUEST });
    const large = { ...ORDER, snapshot: { text: "x".repeat(20_000) } };
    assert.throws(() => cards.messageOf({ ...input, card: large }), {
      code: ErrorCode.BAD_REQUEST,
      message: /at most/,
    });
    now.keys = [];
    assert.throws(() => cards.messageOf({ ...input, card: ORDER }), /IM_CARD_KEYS_FILE/);
  });

  it("follow what they show in the same message; an event out of order changes nothing and says so", async () => {
    const { post, update, shown, delivered } = await setUp();
    const of = await post();
    const { convSeq } = of;
    assert.deepEqual(await update({ version: 5 }), { kind: "updated", convSeq, version: 5, isRepeated: false });
    assert.deepEqual(await shown(), { ...ORDER, version: 5, snapshot: { state: "paid" } });
    assert.deepEqual(await update({ version: 3, snapshot: { state: "late" } }), { kind: "stale", convSeq, version: 5 });
    assert.deepEqual(await update({ version: 5 }), { kind: "updated", convSeq, version: 5, isRepeated: true });
    const done = { version: 6, snapshot: { state: "sent" }, actions: [] };
    assert.equal((await update(done)).kind, "updated");
    assert.deepEqual(await shown(), { ...ORDER, ...done });
    assert.deepEqual([delivered.length, delivered[0]?.event.sender, delivered[0]?.isSilent], [2, "svc:orders", true]);
  });

  it("are not there when nobody posted them, or they were recalled", async () => {
    const { update, cards } = await setUp();
    assert.deepEqual(await update({}), { kind: "no-card" });
    assert.deepEqual(await update({ conversationId: "c_none" }), { kind: "no-card" });
    assert.ok(cards);
  });

  it("follow a newer card of the same thing that comes in between, and give up in the end", async () => {
    const { post, update, store, cards } = await setUp();
    await post();
    const find = store.changes.findCard.bind(store.changes);
    let posts = 0;
    store.changes.findCard = async (id, ref) => {
      const place = await find(id, ref);
      if (posts++ < 1) await post(ORDER, `c-again-${posts}`);
      return place;
    };
    const result = await update({});
    assert.deepEqual([result.kind, "convSeq" in result && result.convSeq], ["updated", 2]);
    store.changes.findCard = async (id, ref) => {
      const place = await find(id, ref);
      await post({ ...ORDER, version: 1 }, `c-more-${posts++}`);
      return place;
    };
    await assert.rejects(update({ version: 9 }), { code: ErrorCode.RETRYABLE });
    assert.ok(cards);
  });

  it("of any order of versions show the highest", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 2, max: 9 }), { minLength: 1, maxLength: 8 }), async (versions) => {
        const { post, update, shown, store } = await setUp();
        await post();
        let highest = 1;
        for (const version of versions) {
          const result = await update({ version, snapshot: { version } });
          const expected = version >= highest ? "updated" : "stale";
          assert.equal(result.kind, expected);
          highest = Math.max(highest, version);
        }
        assert.deepEqual((await shown())?.snapshot, { version: highest });
        const rising = versions.filter((version, at) => versions.slice(0, at).every((before) => before < version));
        assert.equal((await store.inboxHeads(["alice"])).heads.get("alice"), 1 + rising.length);
      }),
      { numRuns: 40 },
    );
  });

  it("pass on what the store could not say", async () => {
    const { post, update, store } = await setUp();
    await post();
    store.changes.change = () => Promise.reject(new ImError(ErrorCode.RETRYABLE, "away"));
    await assert.rejects(update({}), { code: ErrorCode.RETRYABLE });
  });
});
