// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { refusalOf } from "../scene.ts";
import type { MarketStep } from "../walk.ts";

/** Taking back what was said. */
export const recall: MarketStep = {
  name: "recall",
  promise: "a message is taken back everywhere, also for who was away; nobody takes back another's",
  async play(scene) {
    const [alice, bob] = await scene.devices("alice", "bob");
    assert.ok(alice && bob);
    const browser = await scene.device(alice.userId, "web");
    const sent = await alice.send({ to: bob.userId }, "a secret");
    for (const device of [alice, browser, bob])
      await scene.until(`${device.userId} shows it`, () => device.line(sent) === "v1 a secret");
    await refusalOf(bob.changes.recall(sent), "PERMISSION_DENIED");
    await bob.leave();
    await alice.changes.recall(sent);
    for (const device of [alice, browser])
      await scene.until("it is gone on the sender's devices", () => device.line(sent) === "recalled");
    await bob.arrive();
    await scene.until("it is gone for who was away", () => bob.line(sent) === "recalled");
    const { messages } = await bob.client.history(sent.conversationId);
    assert.ok(messages.every(({ text }) => !text.includes("secret")));
  },
};

/** Saying it better. */
export const edit: MarketStep = {
  name: "edit",
  promise: "a message is edited in place; of two devices that edit at once one wins, and the other is told",
  async play(scene) {
    const [alice, bob] = await scene.devices("alice", "bob");
    assert.ok(alice && bob);
    const browser = await scene.device(alice.userId, "web");
    const sent = await alice.send({ to: bob.userId }, "firts");
    await scene.until("the browser shows it", () => browser.line(sent) === "v1 firts");
    const target = { ...sent, version: 1 };
    const outcomes = await Promise.all([alice.changes.edit(target, "第一"), browser.changes.edit(target, "first")]);
    assert.deepEqual(outcomes.map(({ done, version }) => `${done} ${version}`).sort(), ["false 2", "true 2"]);
    const wanted = outcomes[0].done ? "v2 第一" : "v2 first";
    for (const device of [alice, browser, bob])
      await scene.until(`${device.userId} shows the new text`, () => device.line(sent) === wanted);
    assert.equal(bob.changes.list(sent.conversationId).length, 1);
  },
};
