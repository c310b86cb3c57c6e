// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import type { Device } from "../device.ts";
import type { Scene } from "../scene.ts";
import type { MarketStep } from "../walk.ts";

/** What is not urgent comes with a heartbeat, which is half a minute on a real fleet. */
const HEARTBEATS_MS = 120_000;
const PLANNED_IN_MS = 4000;
/** Nobody who logs in later is to be bothered by the walk's announcements. */
const VALID_MS = 10 * 60_000;

const announce = async (scene: Scene, content: string, fields: object = {}): Promise<string> => {
  const body = { contentType: "text/plain", content, audience: "all", notAfterMs: Date.now() + VALID_MS, ...fields };
  return String((await scene.api({ method: "POST", path: "/v1/broadcasts", body })).broadcastId);
};

/** How often a device was shown a broadcast. */
const timesShown = ({ system }: Device, id: string): number =>
  system.filter(({ broadcastId }) => broadcastId === id).length;

const allSaw = (scene: Scene, devices: readonly Device[], id: string): Promise<void> =>
  scene.until("the broadcast is shown", () => devices.every((device) => timesShown(device, id) > 0), HEARTBEATS_MS);

/** Planned for later, overtaken by a newer one. */
export const broadcast: MarketStep = {
  name: "broadcast",
  promise: "a broadcast that takes effect later than a newer one is pulled once on two devices, and not by a new user",
  async play(scene) {
    const userId = scene.unique("reader");
    const devices = [await scene.device(userId), await scene.device(userId, "web")];
    const notBeforeMs = Date.now() + PLANNED_IN_MS;
    const planned = await announce(scene, "春节活动 Sale from tomorrow on 🧧", { notBeforeMs });
    const newer = await announce(scene, "a newer one");
    await allSaw(scene, devices, newer);
    await allSaw(scene, devices, planned);
    const state = async (id: string) => await scene.api({ method: "GET", path: `/v1/broadcasts/${id}` });
    const [first, second] = [await state(newer), await state(planned)];
    assert.ok(Number(first.activationSeq) < Number(second.activationSeq), "the newer one took effect first");
    const fresh = await scene.device(scene.unique("newcomer"));
    const last = await announce(scene, "the last one", { urgent: true });
    await allSaw(scene, [...devices, fresh], last);
    for (const device of devices)
      for (const id of [planned, newer, last]) assert.equal(timesShown(device, id), 1, device.userId);
    assert.deepEqual([timesShown(fresh, planned), timesShown(fresh, newer)], [0, 0], "no history for a new user");
  },
};

/** For everybody, now. */
export const urgentBroadcast: MarketStep = {
  name: "urgent-broadcast",
  promise: "an urgent broadcast comes at once to everybody who is online, once; one for a list to nobody else",
  async play(scene) {
    const devices = await scene.devices("ann", "ben", "cid", "dan");
    const [ann, ...others] = devices;
    assert.ok(ann);
    const startedMs = performance.now();
    const urgent = await announce(scene, "系统维护 Maintenance in five minutes", { urgent: true });
    await allSaw(scene, devices, urgent);
    assert.ok(performance.now() - startedMs < URGENT_MS, "at once");
    const fields = { audience: "users", userIds: [ann.userId], urgent: true };
    const listed = await announce(scene, "for ann", fields);
    await allSaw(scene, [ann], listed);
    const end = await announce(scene, "over", { urgent: true });
    await allSaw(scene, devices, end);
    for (const device of devices) assert.equal(timesShown(device, urgent), 1, device.userId);
    assert.ok(others.every((device) => timesShown(device, listed) === 0));
  },
};

/** Far below a heartbeat, far above what it takes: the machine may be busy. */
const URGENT_MS = 10_000;
