// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { it } from "node:test";
import type { DeviceProfile, DeviceRecord, LoginInput, LoginRecord } from "../identity.ts";
import { admitted, type ContractStore, user } from "./fixture.ts";

type LoginFields = Partial<LoginInput> & { userId: string; deviceId: string };

const loginTo = (store: ContractStore, fields: LoginFields): Promise<LoginRecord> =>
  store.login({ slot: "mobile", deviceName: "Pixel ♥", platform: "android", appVersion: "1.0", ...fields });

/** Which slot a login gets, and when it is refused. */
export function slotContract(store: () => ContractStore): void {
  const slotOf = async (fields: LoginFields): Promise<string> => admitted(await loginTo(store(), fields)).slot;

  it("gives every device of a class the one slot, or each its own while there are free ones", async () => {
    const [one, several] = [user(), user()];
    assert.deepEqual(
      [await slotOf({ userId: one, deviceId: "a" }), await slotOf({ userId: one, deviceId: "b" })],
      ["mobile", "mobile"],
    );
    const slots: string[] = [];
    for (const deviceId of ["a", "b", "c"]) slots.push(await slotOf({ userId: several, deviceId, sessionsPerSlot: 3 }));
    assert.deepEqual(slots, ["mobile", "mobile#1", "mobile#2"]);
  });

  it("keeps the newest n devices: the oldest login gives its slot away, a device that comes back keeps its own", async () => {
    const userId = user();
    const on = (deviceId: string): Promise<string> => slotOf({ userId, deviceId, sessionsPerSlot: 2 });
    assert.deepEqual([await on("a"), await on("b")], ["mobile", "mobile#1"]);
    assert.equal(await on("a"), "mobile", "its own again");
    assert.equal(await on("a"), "mobile", "and again");
    assert.equal(await on("c"), "mobile#1", "b logged in before a");
    assert.equal(await on("d"), "mobile", "a logged in before c");
    assert.equal(await on("b"), "mobile#1", "c logged in before d");
  });

  it("numbers the logins of all slots of a class in one row", async () => {
    const userId = user();
    const seqs: number[] = [];
    for (const deviceId of ["a", "b", "a", "c"])
      seqs.push(admitted(await loginTo(store(), { userId, deviceId, sessionsPerSlot: 3 })).loginSeq);
    assert.deepEqual(seqs, [1, 2, 3, 4]);
  });

  it("gives simultaneous logins of different devices different slots", async () => {
    const userId = user();
    const slots = await Promise.all(
      Array.from({ length: 8 }, (_, at) => slotOf({ userId, deviceId: `d${at}`, sessionsPerSlot: 8 })),
    );
    assert.equal(new Set(slots).size, 8);
  });

  it("gives away the place of a device that logged out before any other", async () => {
    const userId = user();
    const on = (deviceId: string) => loginTo(store(), { userId, deviceId, sessionsPerSlot: 2 });
    await on("a");
    const { loginSeq } = admitted(await on("b"));
    await store().logoutDevices([{ userId, deviceId: "b", loginSeq }]);
    assert.equal(admitted(await on("c")).slot, "mobile#1");
  });

  it("refuses logins that come too often, for longer each time, per user and class", async () => {
    const userId = user();
    const at = (atMs: number, more: Partial<LoginInput> = {}) =>
      loginTo(store(), { userId, deviceId: "a", loginsPerMinute: 3, atMs, ...more });
    const start = 1_700_000_000_000;
    for (const ms of [0, 1, 2]) assert.equal((await at(start + ms)).kind, "ok");
    assert.deepEqual(await at(start + 3), { kind: "flapping", retryAfterMs: 10_000 });
    assert.deepEqual(await at(start + 5003, { deviceId: "b" }), { kind: "flapping", retryAfterMs: 5000 });
    assert.equal((await at(start + 10, { slot: "web" })).kind, "ok", "another class is not concerned");
    for (const ms of [0, 1, 2]) assert.equal((await at(start + 10_003 + ms)).kind, "ok");
    assert.deepEqual(await at(start + 10_006), { kind: "flapping", retryAfterMs: 20_000 });
    assert.equal((await at(start + 10_007, { loginsPerMinute: 0 })).kind, "ok", "no limit, no refusal");
    const calm = start + 3_600_000;
    for (const ms of [0, 1, 2]) assert.equal((await at(calm + ms)).kind, "ok");
    assert.deepEqual(
      await at(calm + 3),
      { kind: "flapping", retryAfterMs: 10_000 },
      "forgiven after ten quiet minutes",
    );
  });

  it("goes by its own clock when it is told no time", async () => {
    const userId = user();
    const once = () => loginTo(store(), { userId, deviceId: "a", loginsPerMinute: 1 });
    assert.equal((await once()).kind, "ok");
    const first = await once();
    assert.deepEqual(first, { kind: "flapping", retryAfterMs: 10_000 });
    const second = await once();
    assert.ok(second.kind === "flapping" && second.retryAfterMs > 0 && second.retryAfterMs <= 10_000);
  });

  it("counts logins per minute, not for ever, and caps the pause at ten minutes", async () => {
    const userId = user();
    const at = (atMs: number) => loginTo(store(), { userId, deviceId: "a", loginsPerMinute: 1, atMs });
    let now = 1_700_000_000_000;
    for (let n = 0; n < 5; n++, now += 60_000) assert.equal((await at(now)).kind, "ok");
    let longest = 0;
    for (let n = 0; n < 10; n++) {
      const record = await at(now + 1);
      if (record.kind !== "flapping") continue;
      longest = Math.max(longest, record.retryAfterMs);
      now += record.retryAfterMs + 1;
      await at(now);
    }
    assert.equal(longest, 600_000);
  });
}

/** What devices tell about themselves, logout, activity. */
export function deviceProfileContract(store: () => ContractStore): void {
  const login = async (userId: string, deviceId: string): Promise<number> =>
    admitted(await loginTo(store(), { userId, deviceId })).loginSeq;
  const profile = (userId: string, deviceId: string, more: Partial<DeviceProfile> = {}): DeviceProfile => ({
    ...{ userId, deviceId, pushProvider: "fcm", pushToken: `t-${randomUUID()}`, locale: "zh-CN", appVersion: "2.0" },
    prefs: "{}",
    ...more,
  });
  const tokensOf = async (...userIds: string[]): Promise<string[]> =>
    (await store().pushTargets(userIds)).flatMap((target) => (target.pushToken === "" ? [] : [target.pushToken]));
  const device = async (userId: string): Promise<DeviceRecord | undefined> => (await store().devicesOf([userId]))[0];

  it("binds a push token to the device, replaces and removes it", async () => {
    const alice = user();
    await login(alice, "d1");
    const first = profile(alice, "d1");
    assert.equal(await store().setDevice(first), true);
    assert.deepEqual(await tokensOf(alice), [first.pushToken]);
    assert.equal(await store().setDevice(first), true, "again");
    // The longest, of content that nothing can compress.
    const second = profile(alice, "d1", { pushToken: randomBytes(2048).toString("hex") });
    await store().setDevice(second);
    assert.deepEqual(await tokensOf(alice), [second.pushToken]);
    await login(alice, "d1");
    assert.deepEqual(await tokensOf(alice), [second.pushToken], "a login keeps it");
    await store().setDevice({ ...second, pushToken: "", pushProvider: "" });
    assert.deepEqual(await tokensOf(alice), []);
    assert.equal(await store().setDevice(profile(alice, "unknown")), false);
  });

  it("moves a push token to whoever logs in on that device next", async () => {
    const [alice, bob] = [user(), user()];
    await login(alice, "d1");
    await login(bob, "d1");
    const mine = profile(alice, "d1");
    await store().setDevice(mine);
    await store().setDevice({ ...mine, userId: bob });
    assert.deepEqual(await tokensOf(alice), []);
    assert.deepEqual(await tokensOf(bob), [mine.pushToken]);
    await store().setDevice(mine);
    assert.deepEqual([await tokensOf(alice), await tokensOf(bob)], [[mine.pushToken], []]);
  });

  it("leaves one owner of a token that many devices claim at the same time", async () => {
    const users = Array.from({ length: 8 }, user);
    await Promise.all(users.map((userId) => login(userId, "d")));
    const pushToken = `t-${randomUUID()}`;
    await Promise.all(users.map((userId) => store().setDevice(profile(userId, "d", { pushToken }))));
    assert.deepEqual(await tokensOf(...users), [pushToken]);
  });

  it("unbinds the push token at logout, unless the device has logged in again", async () => {
    const alice = user();
    const early = await login(alice, "d1");
    const bound = profile(alice, "d1");
    await store().setDevice(bound);
    const late = await login(alice, "d1");
    await store().logoutDevices([{ userId: alice, deviceId: "d1", loginSeq: early }]);
    assert.deepEqual(await tokensOf(alice), [bound.pushToken], "a late logout of the older login");
    const logout = { userId: alice, deviceId: "d1", loginSeq: late };
    await store().logoutDevices([logout, { userId: user(), deviceId: "d1", loginSeq: 1 }]);
    await store().logoutDevices([logout]);
    await store().logoutDevices([]);
    assert.deepEqual(await tokensOf(alice), []);
    const bob = user();
    await login(bob, "d1");
    await store().setDevice({ ...bound, userId: bob });
    assert.deepEqual(await tokensOf(alice, bob), [bound.pushToken], "free for another user");
  });

  it("keeps the app's state and when a device was last seen, forward only", async () => {
    const alice = user();
    await login(alice, "d1");
    const born = (await device(alice))?.lastSeenMs ?? 0;
    assert.ok(Math.abs(born - Date.now()) < 60_000);
    const note = (agoMs: number, appState?: "foreground" | "background") =>
      store().noteActivity([
        { userId: alice, deviceId: "d1", agoMs, ...(appState ? { appState } : {}) },
        { userId: alice, deviceId: "unknown", agoMs },
      ]);
    await note(60_000, "background");
    assert.partialDeepStrictEqual(await device(alice), {
      ...{ userId: alice, deviceId: "d1", deviceName: "Pixel ♥", platform: "android" },
      ...{ appState: "background", lastSeenMs: born },
    });
    await note(0);
    assert.equal((await device(alice))?.lastSeenMs, born, "it was seen just before");
    // As if it were noted half a minute from now.
    await note(-30_000);
    const later = await device(alice);
    assert.equal(later?.appState, "background");
    assert.ok(later.lastSeenMs > born + 20_000 && later.lastSeenMs <= born + 90_000, `${later.lastSeenMs - born}`);
    await login(alice, "d1");
    assert.equal((await device(alice))?.appState, "foreground", "a login is a person in front of it");
    await store().noteActivity([]);
    assert.deepEqual(await store().devicesOf([]), []);
  });
}

/** How long ago a device logged in. */
export function loginAgeContract(store: () => ContractStore): void {
  it("tells how long ago a device logged in, by the store's own clock; acknowledgements do not count", async () => {
    const userId = user();
    const loginAgoMs = async () => (await store().devicesOf([userId]))[0]?.loginAgoMs ?? -1;
    admitted(await loginTo(store(), { userId, deviceId: "d1" }));
    const first = await loginAgoMs();
    assert.ok(first >= 0 && first < 60_000, `${first}`);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await store().noteActivity([{ userId, deviceId: "d1", agoMs: 0 }]);
    const later = await loginAgoMs();
    assert.ok(later >= first + 290, `${first}, then ${later}`);
    const beforeMs = performance.now();
    admitted(await loginTo(store(), { userId, deviceId: "d1" }));
    const again = await loginAgoMs();
    assert.ok(again >= 0 && again <= performance.now() - beforeMs + 50, `${again}`);
  });
}
