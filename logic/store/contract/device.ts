// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import { type Admitted, admitted, type ContractStore, message, user } from "./fixture.ts";

/** Logins, acknowledged positions, push targets. */
export function deviceContract(store: () => ContractStore): void {
  const login = async (userId: string, slot: string, deviceId: string): Promise<Admitted> =>
    admitted(
      await store().login({ userId, slot, deviceId, deviceName: "Pixel ♥", platform: "android", appVersion: "1.0" }),
    );

  it("counts logins per user and slot", async () => {
    const [alice, bob] = [user(), user()];
    assert.deepEqual(await login(alice, "mobile", "d1"), {
      ...{ kind: "ok", slot: "mobile", loginSeq: 1, ackedSeq: 0, inboxHead: 0, epoch: store().epoch },
    });
    assert.equal((await login(alice, "mobile", "d2")).loginSeq, 2);
    assert.equal((await login(alice, "web", "d3")).loginSeq, 1);
    assert.equal((await login(bob, "mobile", "d1")).loginSeq, 1);
    assert.equal((await login(alice, "mobile", "d1")).loginSeq, 3);
  });

  it("gives every one of many simultaneous logins its own number", async () => {
    const alice = user();
    const records = await Promise.all(
      Array.from({ length: 20 }, (_, index) => login(alice, "mobile", `d${index % 3}`)),
    );
    assert.deepEqual(
      records.map((record) => record.loginSeq).sort((a, b) => a - b),
      Array.from({ length: 20 }, (_, index) => index + 1),
    );
  });

  it("moves acknowledged positions forward only, and never past the head", async () => {
    const [alice, bob] = [user(), user()];
    await login(bob, "mobile", "phone");
    await login(bob, "web", "browser");
    await store().append(Array.from({ length: 10 }, () => message({ sender: alice, peer: bob })));
    const ackedAfter = async (...acks: [string, number][]): Promise<number[]> => {
      await store().advanceAcks(acks.map(([deviceId, inboxSeq]) => ({ userId: bob, deviceId, inboxSeq })));
      const targets = await store().pushTargets([bob]);
      return ["phone", "browser"].map(
        (deviceId) => targets.find((target) => target.deviceId === deviceId)?.ackedSeq ?? -1,
      );
    };
    assert.deepEqual(await ackedAfter(["phone", 4]), [4, 0]);
    assert.deepEqual(await ackedAfter(["phone", 2], ["browser", 1]), [4, 1]);
    assert.deepEqual(await ackedAfter(["phone", 5], ["phone", 7], ["phone", 6]), [7, 1]);
    assert.deepEqual(await ackedAfter(["browser", 2 ** 64], ["unknown device", 3]), [7, 10]);
    assert.deepEqual(await ackedAfter(), [7, 10]);
    const { loginSeq, ackedSeq, inboxHead } = await login(bob, "mobile", "phone");
    assert.deepEqual([loginSeq, ackedSeq, inboxHead], [2, 7, 10]);
  });

  it("lists the devices to push to", async () => {
    const [alice, bob, nobody] = [user(), user(), user()];
    await login(alice, "mobile", "d1");
    await login(alice, "web", "d2");
    await login(alice, "mini", "d1");
    await login(bob, "mobile", "d1");
    const targets = await store().pushTargets([alice, nobody]);
    const platform = { userId: alice, platform: "android", ackedSeq: 0, pushProvider: "", pushToken: "" };
    assert.deepEqual(
      targets.sort((a, b) => (a.deviceId < b.deviceId ? -1 : 1)),
      [
        { ...platform, deviceId: "d1", slot: "mini" },
        { ...platform, deviceId: "d2", slot: "web" },
      ],
    );
    assert.deepEqual(await store().pushTargets([]), []);
  });
}
