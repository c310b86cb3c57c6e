// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { fetchPresence, PresenceWatch } from "../../../client/src/presence.ts";
import type { MarketStep } from "../walk.ts";

/** Who is online. */
export const presence: MarketStep = {
  name: "presence",
  promise: "who has written to somebody is seen by it coming and going; a stranger sees nothing",
  async play(scene) {
    const [buyer, seller, stranger] = await scene.devices("buyer", "seller", "stranger");
    assert.ok(buyer && seller && stranger);
    await buyer.send({ to: seller.userId }, "hello");
    await seller.send({ to: buyer.userId }, "hello, too");
    const told: string[] = [];
    using watch = new PresenceWatch(buyer.client, {
      onChange: ({ online }) => void told.push(online ? "online" : "offline"),
    });
    watch.set([seller.userId]);
    await scene.until("the seller is seen", () => told.at(-1) === "online");
    await seller.leave();
    await scene.until("the seller is gone", () => told.at(-1) === "offline");
    await seller.arrive();
    await scene.until("the seller is back", () => told.at(-1) === "online");
    const [seen] = await fetchPresence(stranger.client, [seller.userId]);
    assert.deepEqual([seen?.online, seen?.lastSeenMs], [false, 0]);
    const path = `/v1/presence?userId=${seller.userId}`;
    const { users } = (await scene.api({ method: "GET", path })) as { users: { online: boolean }[] };
    assert.equal(users[0]?.online, true);
  },
};
