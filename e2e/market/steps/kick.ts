// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { DisconnectCode } from "#lib/codes.ts";
import type { MarketStep } from "../walk.ts";

/** The shop ends somebody's sessions. */
export const kick: MarketStep = {
  name: "kick",
  promise: "the shop ends a user's session and its tokens; the client is told so and stays away",
  async play(scene) {
    const [fraud] = await scene.devices("fraud");
    assert.ok(fraud);
    const user = `/v1/users/${fraud.userId}`;
    const { devices } = (await scene.api({ method: "GET", path: `${user}/devices` })) as {
      devices: { deviceId: string; online: boolean }[];
    };
    assert.deepEqual(
      devices.map(({ deviceId, online }) => [deviceId, online]),
      [[`${fraud.userId}-ios`, true]],
    );
    const reason = "frozen by the shop";
    assert.deepEqual(await scene.api({ method: "POST", path: `${user}/kick`, body: { reason } }), { sessions: 1 });
    await scene.until("the client is closed", () => fraud.client.state.kind === "closed");
    assert.ok(fraud.client.state.kind === "closed" && fraud.client.state.code === DisconnectCode.EVICTED);
    await scene.api({ method: "POST", path: `${user}/revoke`, body: { validAfterMs: Date.now() + 60_000 } });
    await assert.rejects(fraud.arrive(), "its token is of no use any more");
  },
};
