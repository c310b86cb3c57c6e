// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { ImClientError } from "#client";
import { MAX_UNANSWERED } from "../../../scripts/up/shop.ts";
import { refusalOf } from "../scene.ts";
import type { MarketStep } from "../walk.ts";

/** The refusal of a message that a rule bounces, with its explanation. */
async function bounced(work: Promise<unknown>): Promise<ImClientError> {
  const error = await refusalOf(work, "BOUNCED");
  assert.equal(error.retryable, false);
  return error;
}

/** Dealing outside the platform. */
export const contactLeak: MarketStep = {
  name: "contact-leak",
  promise: "a message with a phone number or a WeChat id is bounced with an explanation, also in parts and in disguise",
  async play(scene) {
    const [buyer, seller] = await scene.devices("buyer", "seller");
    assert.ok(buyer && seller);
    const greeting = await buyer.send({ to: seller.userId }, "你好，还在卖吗？");
    await seller.send({ to: buyer.userId }, "在的 👋");
    const leaks = [
      "加我微信 abc12345",
      "我的电话是 １３８ ００１３ ８０００",
      "幺三八 零零一三 八零零零 打给我",
      "V信: bike_2026",
    ];
    for (const leak of leaks) {
      const error = await bounced(buyer.client.send({ to: seller.userId, content: leak }));
      assert.match(error.message, /Please keep contacts out of the chat/, leak);
    }
    const innocent = await buyer.send({ to: seller.userId }, "1200 元可以吗？ Can I have it for 1200?");
    await scene.until("what is innocent comes", () => seller.shown(innocent) !== undefined);
    assert.deepEqual(
      seller.messages.map(({ convSeq }) => convSeq),
      [greeting.convSeq, innocent.convSeq],
      "nothing of what was bounced",
    );
  },
};

/** Writing to people who do not answer. */
export const strangerLimit: MarketStep = {
  name: "stranger-limit",
  promise: "who is not answered may write some messages only; after an answer it may go on",
  async play(scene) {
    const [pushy, seller] = await scene.devices("pushy", "seller");
    assert.ok(pushy && seller);
    const say = (content: string): Promise<unknown> => pushy.client.send({ to: seller.userId, content });
    const calls = Array.from({ length: MAX_UNANSWERED }, (_, at) => `are you there? ${"?".repeat(at)}`);
    for (const call of calls) await say(call);
    const error = await bounced(say("hello???"));
    assert.match(error.message, /Please wait for an answer/);
    await scene.until("the others came", () => seller.messages.length === MAX_UNANSWERED);
    await seller.send({ to: pushy.userId }, "I am.");
    // Another logic learns of the answer a moment later.
    await scene.until(
      "the way is open again",
      async () =>
        await say("good").then(
          () => true,
          () => false,
        ),
    );
  },
};
