// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { refusalOf } from "../scene.ts";
import type { MarketStep } from "../walk.ts";

/** A card's button asks the shop. */
export const cardButton: MarketStep = {
  name: "card-button",
  promise: "a button of a card asks the shop's backend once, however often it is pressed with one id",
  async play(scene) {
    const [buyer, seller] = await scene.devices("buyer", "seller");
    assert.ok(buyer && seller);
    const actions = [{ id: "reserve", label: "预留 Reserve" }];
    const card = {
      type: "item",
      ref: scene.unique("item"),
      version: 1,
      snapshot: { title: "相机 📷" },
      actions,
    } as const;
    const sent = await buyer.send({ to: seller.userId }, scene.signed(card), "im/card");
    await scene.until("the seller sees the card", () => seller.card(sent) !== undefined);
    const press = (action: string, id: string) => seller.changes.press(sent, action, { id });
    const outcomes = [await press("reserve", "one"), await press("reserve", "one"), await press("reserve", "two")];
    const [first, again, other] = outcomes.map(({ output }) => new TextDecoder().decode(output));
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      [200, 200, 200],
    );
    assert.match(first ?? "", new RegExp(`"ref":"${card.ref}"`));
    assert.equal(again, first);
    assert.notEqual(other, first);
    await refusalOf(press("sell", "three"), "NOT_FOUND");
  },
};
