// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { MarketStep } from "../walk.ts";

/** What the order is, in one bubble. */
export const orderCard: MarketStep = {
  name: "order-card",
  promise: "the shop's order card follows the order in place, out of order and for who was offline, in one bubble",
  async play(scene) {
    const userId = scene.unique("buyer");
    const [phone, browser] = [await scene.device(userId), await scene.device(userId, "web")];
    const [from, ref] = ["svc:orders", scene.unique("order")];
    const stateOf = (state: string) => ({ title: "订单 Order 📦", state });
    const card = { type: "order", ref, version: 1, snapshot: stateOf("placed"), actions: [] };
    const sent = await scene.api({ method: "POST", path: "/v1/cards", body: { from, to: userId, card } });
    const place = { conversationId: String(sent.conversationId), convSeq: Number(sent.conversationSeq) };
    for (const device of [phone, browser])
      await scene.until("the card is there", () => device.card(place)?.snapshot.state === "placed");
    await browser.leave();
    const report = (version: number, state: string) => {
      const body = { from, conversationId: place.conversationId, ref, version, snapshot: stateOf(state) };
      return { method: "POST", path: "/v1/cards/states", body } as const;
    };
    await scene.api(report(2, "paid"));
    await scene.until("it is paid on the phone", () => phone.card(place)?.snapshot.state === "paid");
    await scene.api(report(4, "delivered"));
    const late = await scene.refusedApi(report(3, "shipped"), 409);
    assert.deepEqual([late.body.code, late.body.currentVersion], ["stale", 4]);
    await browser.arrive();
    for (const device of [phone, browser]) {
      await scene.until("it is delivered", () => device.card(place)?.snapshot.state === "delivered");
      assert.equal(device.card(place)?.version, 4);
      assert.equal(device.changes.list(place.conversationId).length, 1, "one bubble");
    }
    const fresh = await scene.device(scene.unique("somebody"));
    assert.equal(fresh.messages.length, 0);
  },
};
