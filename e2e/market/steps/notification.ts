// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { refusalOf } from "../scene.ts";
import type { MarketStep } from "../walk.ts";

/** "Your order is paid", from a service account of the shop. */
export const notification: MarketStep = {
  name: "notification",
  promise: "order paid: a service account notifies a buyer once, on both devices and however often it is asked",
  async play(scene) {
    const userId = scene.unique("buyer");
    const [phone, browser] = [await scene.device(userId), await scene.device(userId, "web")];
    const body = {
      ...{ from: "svc:orders", to: userId, kind: "order.paid", title: "订单已付款 Your order is paid" },
      facts: { orderId: scene.unique("order") },
    };
    const call = { method: "POST", path: "/v1/notifications", body, idempotencyKey: scene.unique("paid") } as const;
    const [first, again] = [await scene.api(call), await scene.api(call)];
    assert.deepEqual(first, again);
    const messageId = String(first.messageId);
    for (const device of [phone, browser])
      await scene.until("the notification is there", () => device.messages.some((one) => one.messageId === messageId));
    await scene.acknowledged(userId, messageId);
    for (const { messages } of [phone, browser]) {
      const [message, ...more] = messages.filter(({ sender }) => sender === "svc:orders");
      assert.deepEqual([message?.contentType, more.length], ["im/notification", 0]);
      const { kind, facts } = JSON.parse(message?.text ?? "{}") as { kind: string; facts: object };
      assert.deepEqual([kind, facts], [body.kind, body.facts]);
    }
    await refusalOf(
      phone.client.send({ to: scene.unique("victim"), content: "{}", contentType: "im/notification" }),
      "BAD_REQUEST",
    );
  },
};
