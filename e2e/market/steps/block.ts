// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Safety } from "../../../client/src/models/index.ts";
import { fetchPresence } from "../../../client/src/presence.ts";
import type { MarketStep } from "../walk.ts";

/** Somebody does not want to hear of somebody. */
export const block: MarketStep = {
  name: "block",
  promise: "what a blocked user writes comes to nobody, and it is not told; after the block it may write again",
  async play(scene) {
    const [pest, seller] = await scene.devices("pest", "seller");
    assert.ok(pest && seller);
    const first = await pest.send({ to: seller.userId }, "hello");
    await seller.send({ to: pest.userId }, "hello, too");
    await scene.until("they have talked", () => seller.line(first) === "v1 hello" && pest.messages.length === 1);
    using safety = new Safety(seller.client);
    assert.deepEqual(await safety.block([pest.userId]), [pest.userId]);
    const unheard = await pest.send({ to: seller.userId }, "you there?");
    assert.ok(unheard.convSeq > first.convSeq, "it is answered as ever");
    const [seen] = await fetchPresence(pest.client, [seller.userId]);
    assert.equal(seen?.online, false, "the blocked one does not see the other's presence");
    assert.deepEqual(await safety.unblock([pest.userId]), []);
    const heard = await pest.send({ to: seller.userId }, "sorry");
    await scene.until("it is heard again", () => seller.line(heard) === "v1 sorry");
    assert.ok(seller.messages.every(({ text }) => text !== "you there?"));
    const { messages } = await seller.client.history(first.conversationId);
    assert.deepEqual(
      messages.map(({ text }) => text),
      ["hello", "hello, too", "sorry"],
    );
  },
};
