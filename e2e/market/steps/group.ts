// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { refusalOf } from "../scene.ts";
import type { MarketStep } from "../walk.ts";

/** The life of a group of five. */
export const group: MarketStep = {
  name: "group",
  promise: "five in a group: made, one more invited, roles, one removed, one leaves; all learn of all of it in order",
  async play(scene) {
    const [alice, bob, carol, dave, erin] = await scene.devices("alice", "bob", "carol", "dave", "erin");
    assert.ok(alice && bob && carol && dave && erin);
    const founders = [bob, carol, dave].map(({ userId }) => userId);
    const { conversationId } = await alice.groups.create({ name: "自行车爱好者 🚲", userIds: founders });
    await alice.groups.invite(conversationId, [erin.userId]);
    const all = [alice, bob, carol, dave, erin];
    await scene.until("all have heard of it", () =>
      all.every((device) => device.linesOf(conversationId).at(-1) === "invited 1"),
    );
    for (const [at, device] of all.entries()) await device.send({ conversationId }, `hi ${at}`);
    // Who sends is told by the acknowledgement.
    const said = (device: (typeof all)[number]): number =>
      device.linesOf(conversationId).filter((line) => line.startsWith("hi ")).length;
    await scene.until("each has heard the four others", () => all.every((device) => said(device) === 4));
    await refusalOf(carol.groups.remove(conversationId, [dave.userId]), "PERMISSION_DENIED");
    await alice.groups.setRole(conversationId, bob.userId, "admin");
    await bob.groups.remove(conversationId, [dave.userId]);
    await scene.until("dave hears of it", () => dave.linesOf(conversationId).at(-1) === "removed 1");
    await refusalOf(dave.client.send({ conversationId, content: "hello?" }), "PERMISSION_DENIED");
    await refusalOf(dave.client.history(conversationId), "PERMISSION_DENIED");
    await carol.groups.leave(conversationId);
    await alice.send({ conversationId }, "only three");
    for (const device of [bob, erin])
      await scene.until("the end is heard", () => device.linesOf(conversationId).at(-1) === "only three");
    const tail = erin.linesOf(conversationId).slice(-4);
    assert.deepEqual(tail, ["role 1", "removed 1", "left 1", "only three"]);
    assert.deepEqual(bob.linesOf(conversationId).slice(-4), tail);
    const members = await Array.fromAsync(alice.groups.members(conversationId));
    const wanted = [`${alice.userId} owner`, `${bob.userId} admin`, `${erin.userId} member`];
    assert.deepEqual(members.map(({ userId, role }) => `${userId} ${role}`).sort(), wanted.sort());
  },
};
