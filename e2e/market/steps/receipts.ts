// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { MarketStep } from "../walk.ts";

/** What was read, and who is writing. */
export const receipts: MarketStep = {
  name: "receipts",
  promise: "what a buyer has read is known on its other device and to the seller; so is that it is writing",
  async play(scene) {
    const [seller, buyer] = await scene.devices("seller", "buyer");
    assert.ok(seller && buyer);
    const browser = await scene.device(buyer.userId, "web");
    for (const device of [seller, buyer, browser]) await device.book.load();
    for (const content of ["one", "two", "three"]) await seller.send({ to: buyer.userId }, content);
    for (const device of [buyer, browser])
      await scene.until("three are unread", () => device.book.list[0]?.unread === 3);
    const { conversationId } = buyer.book.list[0] ?? assert.fail();
    await buyer.book.markRead(conversationId, 2);
    await scene.until("one is left on the other device", () => browser.book.list[0]?.unread === 1);
    await scene.until("the seller has the receipt", () => seller.book.list[0]?.peerReadSeq === 2);
    assert.deepEqual(await seller.book.receipts(conversationId), [
      { conversationId, userId: buyer.userId, readSeq: 2 },
    ]);
    await scene.until("the seller sees that the buyer writes", () => {
      buyer.book.typing(conversationId);
      return seller.typing.some(({ userId, isTyping }) => isTyping && userId === buyer.userId);
    });
    buyer.book.typing(conversationId, false);
    await scene.until("and that it stopped", () => seller.typing.at(-1)?.isTyping === false);
  },
};
