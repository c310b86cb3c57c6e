// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { MarketStep } from "../walk.ts";

/** Longer than a device may take to acknowledge before its user is pushed to, and the worker's turn after it. */
const QUIET_MS = 12_000;

/** Who is away is told by push; who has it is not. */
export const push: MarketStep = {
  name: "push",
  promise: "a seller who is offline gets a push; once it has acknowledged, nothing is pushed any more",
  async play(scene) {
    const [buyer, seller] = await scene.devices("buyer", "seller");
    assert.ok(buyer && seller);
    const here = await buyer.send({ to: seller.userId }, "while you are here");
    await scene.acknowledged(seller.userId, here.messageId);
    await seller.leave();
    const away = await buyer.send({ to: seller.userId }, "while you are away");
    const pushesOf = async (): Promise<string[]> => {
      const pushes = await scene.site.pushes();
      return pushes.filter(({ userId }) => userId === seller.userId).map(({ messageId }) => messageId);
    };
    await scene.until("the push provider was told", async () => (await pushesOf()).includes(away.messageId));
    await seller.arrive();
    await scene.until("the seller has it", () => seller.messages.some(({ messageId }) => messageId === away.messageId));
    await scene.acknowledged(seller.userId, away.messageId);
    const before = await pushesOf();
    const back = await buyer.send({ to: seller.userId }, "you are back");
    await scene.acknowledged(seller.userId, back.messageId);
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    assert.deepEqual(await pushesOf(), before, "something was pushed after the acknowledgement");
    assert.ok(!before.includes(here.messageId), "pushed although it was acknowledged");
  },
};
