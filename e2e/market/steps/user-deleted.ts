// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { MarketStep } from "../walk.ts";

/** Somebody asks to be forgotten. */
export const userDeleted: MarketStep = {
  name: "user-deleted",
  promise: "a user is deleted: its sessions and tokens are over, and nothing that it said is left with the others",
  async play(scene) {
    const [leaver, friend] = await scene.devices("leaver", "friend");
    assert.ok(leaver && friend);
    const said = await leaver.send({ to: friend.userId }, "my address is 中山路 1");
    const answer = await friend.send({ to: leaver.userId }, "see you there");
    await scene.until("the friend has it", () => friend.line(said) === "v1 my address is 中山路 1");
    const user = `/v1/users/${leaver.userId}`;
    await scene.api({ method: "POST", path: `${user}/erase`, body: {} });
    await scene.until("its session is over", () => leaver.client.state.kind === "closed");
    await assert.rejects(leaver.arrive(), "its tokens are of no use any more");
    await scene.until("it is done", async () => {
      const { state } = await scene.api({ method: "GET", path: `${user}/erasure` });
      return state === "erased";
    });
    const { messages } = await friend.client.history(said.conversationId);
    assert.deepEqual(
      messages.map(({ convSeq, text }) => [convSeq, text]),
      [
        [said.convSeq, ""],
        [answer.convSeq, "see you there"],
      ],
    );
    const { devices } = await scene.api({ method: "GET", path: `${user}/devices` });
    assert.deepEqual(devices, []);
  },
};
