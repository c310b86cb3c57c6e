// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { signCard } from "../../../logic/changes/card.ts";
import { refusalOf } from "../scene.ts";
import type { MarketStep } from "../walk.ts";

/** The first message about an item is its card, as the shop signed it. */
export const itemCard: MarketStep = {
  name: "item-card",
  promise: "a buyer asks about an item: the seller sees the card that the shop signed, and no forged one",
  async play(scene) {
    const [buyer, seller] = await scene.devices("buyer", "seller");
    assert.ok(buyer && seller);
    await seller.book.load();
    const snapshot = { title: "自行车 🚲 bicycle", priceCents: 120_000, currency: "CNY" };
    const card = { type: "item", ref: scene.unique("item"), version: 1, snapshot, actions: [] } as const;
    const post = (content: string) => buyer.send({ to: seller.userId }, content, "im/card");
    const stranger = { id: scene.site.cardKey.id, secret: randomBytes(32) };
    await refusalOf(
      post(signCard({ ...card, snapshot: { ...snapshot, priceCents: 1 } }, stranger)),
      "PERMISSION_DENIED",
    );
    const sent = await post(scene.signed(card));
    await scene.until("the seller sees the card", () => seller.card(sent) !== undefined);
    assert.deepEqual(seller.card(sent), card);
    await buyer.send({ to: seller.userId }, "还在吗？ Is it still for sale?");
    await scene.until("the conversation is in the seller's list, unread", () => seller.book.list[0]?.unread === 2);
    const [contact] = seller.book.list;
    assert.deepEqual([contact?.peerId, contact?.conversationId], [buyer.userId, sent.conversationId]);
    await seller.send({ conversationId: sent.conversationId }, "Yes, it is.");
    await scene.until("the buyer reads the answer", () => buyer.messages.some(({ text }) => text === "Yes, it is."));
  },
};
