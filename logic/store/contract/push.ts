// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import type { PushStepRow, SettledStep } from "../push-store.ts";
import type { AppendInput } from "../store.ts";
import { type ContractStore, direct, message, readAll, user } from "./fixture.ts";

export const T0 = 1_700_000_000_000;

/** A step of `userId` that is due since {@link T0}. */
export function step(userId: string, over: Partial<PushStepRow> = {}): PushStepRow {
  return {
    userId,
    conversationId: "c_1",
    channel: "app",
    deviceId: "",
    aloneSeq: 0,
    firstSeq: 5,
    lastSeq: 5,
    attempts: 0,
    reached: false,
    createdMs: T0,
    dueMs: T0,
    leased: false,
    ...over,
  };
}

/** As whoever has `row` in hand ends it. */
export const settled = (row: PushStepRow, again: SettledStep["again"]): SettledStep => ({
  step: row,
  endsMs: [row.dueMs],
  again,
});

/** Addresses that are no devices. */
export function pushContactContract(store: () => ContractStore): void {
  const push = () => store().pushStore;

  it("keeps contacts, the newest of each user", async () => {
    const [alice, bob] = [user(), user()];
    const first = { userId: alice, phone: "+861", wechat: "o1", timeZone: "Asia/Shanghai" };
    await push().saveContacts([first, { ...first, userId: bob, phone: "" }]);
    await push().saveContacts([{ ...first, phone: "+862" }]);
    await push().saveContacts([]);
    assert.deepEqual(await push().readContacts([alice, alice, user()]), [{ ...first, phone: "+862" }]);
    assert.deepEqual(await push().readContacts([]), []);
  });

  it("forgets a dead address only while it is still that one", async () => {
    const alice = user();
    await push().saveContacts([{ userId: alice, phone: "+861", wechat: "o1", timeZone: "" }]);
    assert.equal(await push().forgetContacts([{ userId: alice, kind: "phone", address: "+869" }]), 0);
    assert.equal(await push().forgetContacts([{ userId: alice, kind: "wechat", address: "" }]), 0);
    assert.equal(await push().forgetContacts([{ userId: alice, kind: "phone", address: "+861" }]), 1);
    assert.deepEqual(await push().readContacts([alice]), [{ userId: alice, phone: "", wechat: "o1", timeZone: "" }]);
  });
}

/** What a push is about. */
export function pushSubjectContract(store: () => ContractStore): void {
  const subjects = (...positions: [userId: string, inboxSeq: number][]) =>
    store().pushStore.readSubjects(positions.map(([userId, inboxSeq]) => ({ userId, inboxSeq })));

  it("reads the messages of several users at once, those that exist", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    const sent = [message({ sender: alice, peer: bob }), message({ sender: carol, peer: bob, sentAtMs: T0 })];
    await store().append(sent);
    const read = await subjects([bob, 2], [carol, 1], [bob, 1], [bob, 3], [alice, 7], [user(), 1]);
    const shown = ({ sender, messageId, contentType }: AppendInput) => ({ sender, messageId, contentType });
    assert.deepEqual(
      read.map(({ userId, inboxSeq, head, isMuted, ...rest }) => [
        userId,
        inboxSeq,
        head,
        isMuted,
        shown(rest as AppendInput),
      ]),
      [
        [bob, 2, 2, false, shown(sent[1] as AppendInput)],
        [carol, 1, 1, false, shown(sent[1] as AppendInput)],
        [bob, 1, 2, false, shown(sent[0] as AppendInput)],
      ],
    );
    assert.deepEqual(read[0]?.conversationId, direct(carol, bob));
    const { events } = await readAll(store(), bob);
    assert.equal(read[0]?.sentAtMs, events[1]?.sentAtMs);
    assert.deepEqual(await subjects(), []);
  });

  it("says what its user muted, by the store's time", async () => {
    const [alice, bob] = [user(), user()];
    await store().append([message({ sender: alice, peer: bob })]);
    const isMuted = async (mutedUntilMs: number): Promise<(boolean | undefined)[]> => {
      await store().conversations.change([{ userId: bob, conversationId: direct(alice, bob), mutedUntilMs }]);
      return (await subjects([bob, 1], [alice, 1])).map((subject) => subject.isMuted);
    };
    assert.deepEqual(await isMuted(Number.MAX_SAFE_INTEGER), [true, false]);
    assert.deepEqual(await isMuted(Date.now() + 60_000), [true, false]);
    assert.deepEqual(await isMuted(Date.now() - 1), [false, false]);
    assert.deepEqual(await isMuted(0), [false, false]);
  });
}

/** Steps that wait. */
export function pushStepContract(store: () => ContractStore): void {
  const push = () => store().pushStore;
  const LONG_MS = 60_000;
  const nowMs = async (): Promise<number> => (await push().stepBacklog()).nowMs;
  /** Takes everything that is due, of which it returns what belongs to `userId`. */
  const claim = async (userId: string, leaseMs: number): Promise<PushStepRow[]> => {
    const { steps } = await push().claimSteps({ leaseMs, limit: 1000 });
    return steps.filter((row) => row.userId === userId);
  };
  /** The row as it is taken; when its lease ends depends on the moment. */
  const inHand = (row: PushStepRow | undefined, leaseMs: number, sinceMs: number): Partial<PushStepRow> => {
    assert.ok(row && row.dueMs >= sinceMs + leaseMs && row.dueMs <= sinceMs + leaseMs + LONG_MS, String(row?.dueMs));
    assert.equal(row.leased, true);
    return { ...row, dueMs: T0, leased: false };
  };

  it("tells its time, with and without a step to give", async () => {
    await push().saveSteps([step(user())]);
    for (const _ of [1, 2]) {
      const beforeMs = Date.now() - 1000;
      const told = [(await push().claimSteps({ leaseMs: LONG_MS, limit: 1000 })).nowMs, await nowMs()];
      for (const toldMs of told) assert.ok(toldMs >= beforeMs && toldMs <= Date.now() + 1000, `${toldMs}`);
    }
  });

  it("gives a step to one caller, when its time has come by the clock of the store", async () => {
    const alice = user();
    const sinceMs = await nowMs();
    await push().saveSteps([step(alice, { dueMs: sinceMs + LONG_MS })]);
    assert.deepEqual(await claim(alice, 0), []);
    await push().saveSteps([step(alice, { dueMs: sinceMs })]);
    const [mine] = await claim(alice, 0);
    assert.deepEqual(inHand(mine, 0, sinceMs), step(alice));
    assert.equal((await claim(alice, LONG_MS)).length, 1, "the lease ended");
    assert.deepEqual(await claim(alice, LONG_MS), []);
  });

  it("shares many steps among callers at the same time", async () => {
    const users = Array.from({ length: 60 }, user);
    await push().saveSteps(users.map((userId) => step(userId, { dueMs: 1 })));
    const claims = await Promise.all(
      Array.from({ length: 6 }, () => push().claimSteps({ leaseMs: LONG_MS, limit: 10 })),
    );
    const taken = claims.flatMap(({ steps }) => steps).map(({ userId }) => userId);
    assert.equal(new Set(taken).size, taken.length, "a step was given out twice");
    await push().claimSteps({ leaseMs: LONG_MS, limit: 1000 });
  });

  it("merges steps of one identity, in one call and in several", async () => {
    const alice = user();
    const sinceMs = await nowMs();
    const later = (ms: number) => ({ dueMs: sinceMs + ms });
    await push().saveSteps([
      step(alice, later(LONG_MS)),
      step(alice, { ...later(LONG_MS), lastSeq: 7, firstSeq: 7, reached: true }),
    ]);
    await push().saveSteps([step(alice, { firstSeq: 3, lastSeq: 4, createdMs: T0 - 9 })]);
    await push().saveSteps([step(alice, { deviceId: "d1" }), step(alice, { aloneSeq: 5, channel: "webhook" })]);
    const rows = await claim(alice, LONG_MS);
    assert.equal(rows.length, 3);
    const merged = rows.find(({ deviceId, aloneSeq }) => deviceId === "" && aloneSeq === 0);
    assert.deepEqual(
      inHand(merged, LONG_MS, sinceMs),
      step(alice, { firstSeq: 3, lastSeq: 7, reached: true, createdMs: T0 - 9 }),
    );
  });

  it("ends a step, or keeps it for a later try", async () => {
    const alice = user();
    const sinceMs = await nowMs();
    await push().saveSteps([step(alice), step(alice, { channel: "sms" })]);
    const rows = await claim(alice, LONG_MS);
    const again = (dueMs: number) => ({ dueMs, attempts: 3, firstSeq: 5, reached: true });
    const settle = (dueMs: number): Promise<void> =>
      push().settleSteps(rows.map((row) => settled(row, row.channel === "sms" ? again(dueMs) : undefined)));
    await settle(sinceMs + LONG_MS);
    assert.deepEqual(await claim(alice, LONG_MS), [], "not before its time");
    await settle(sinceMs);
    const [left, ...more] = await claim(alice, LONG_MS);
    assert.deepEqual(more, []);
    assert.deepEqual(inHand(left, LONG_MS, sinceMs), step(alice, { channel: "sms", attempts: 3, reached: true }));
    await push().settleSteps([]);
  });

  it("keeps what joined a step while it was in hand, due at once when that is over", async () => {
    const alice = user();
    const sinceMs = await nowMs();
    await push().saveSteps([step(alice)]);
    const [mine] = await claim(alice, LONG_MS);
    assert.ok(mine);
    await push().saveSteps([step(alice, { firstSeq: 6, lastSeq: 6, dueMs: T0 + 1 })]);
    assert.deepEqual(await claim(alice, LONG_MS), [], "it stays with whoever has it in hand");
    await push().settleSteps([settled(mine, undefined)]);
    const [rest] = await claim(alice, LONG_MS);
    assert.deepEqual(inHand(rest, LONG_MS, sinceMs), step(alice, { firstSeq: 6, lastSeq: 6 }));
  });
}

/** Allowances and turns, and what the gauges show. */
export function pushLimitContract(store: () => ContractStore): void {
  const push = () => store().pushStore;

  it("knows how much waits, and for how long", async () => {
    await push().saveSteps([step(user(), { dueMs: 1000 })]);
    const { waiting, overdueMs, nowMs } = await push().stepBacklog();
    assert.ok(waiting >= 1);
    assert.equal(overdueMs, nowMs - 1000);
    await push().claimSteps({ leaseMs: 600_000, limit: 1000 });
    assert.equal((await push().stepBacklog()).overdueMs, 0);
  });

  it("grants no more than the day's allowance", async () => {
    const [alice, bob] = [user(), user()];
    const take = async (userId: string, day: number, want: number, channel = "sms"): Promise<number> =>
      (await push().takeQuota([{ userId, channel, day, want, cap: 5 }]))[0] ?? -1;
    assert.equal(await take(alice, 20260101, 3), 3);
    assert.equal(await take(alice, 20260101, 3), 2);
    assert.equal(await take(alice, 20260101, 3), 0);
    assert.equal(await take(alice, 20260101, 1, "wechat"), 1);
    assert.equal(await take(alice, 20260102, 9), 5, "a new day");
    const both = [alice, bob].map((userId) => ({ userId, channel: "sms", day: 20260102, want: 2, cap: 5 }));
    assert.deepEqual(await push().takeQuota(both), [0, 2]);
    assert.equal((await push().takeQuota([{ userId: user(), channel: "sms", day: 1, want: 2, cap: 0 }]))[0], 0);
    assert.deepEqual(await push().takeQuota([]), []);
  });

  it("does not grant more to callers at the same time", async () => {
    const alice = user();
    const request = { userId: alice, channel: "sms", day: 20260101, want: 1, cap: 5 };
    const granted = await Promise.all(Array.from({ length: 20 }, () => push().takeQuota([request])));
    assert.equal(
      granted.flat().reduce((sum, one) => sum + one, 0),
      5,
    );
  });

  it("forgets a dead token, if it is still that one, and takes it again when it is registered again", async () => {
    const alice = user();
    const named = { deviceName: "", platform: "ios", appVersion: "1" };
    const profile = { userId: alice, deviceId: "d1", pushProvider: "apns", locale: "", appVersion: "", prefs: "" };
    await store().login({ userId: alice, slot: "mobile", deviceId: "d1", ...named });
    const [old, newer] = [user(), user()];
    await store().setDevice({ ...profile, pushToken: newer });
    const forget = (pushToken: string): Promise<number> =>
      push().forgetTokens([{ userId: alice, deviceId: "d1", pushToken }]);
    const tokens = async (): Promise<string[]> =>
      (await store().pushTargets([alice])).map(({ pushProvider, pushToken }) => `${pushProvider}:${pushToken}`);
    assert.deepEqual([await forget(old), await forget("")], [0, 0]);
    assert.deepEqual(await tokens(), [`apns:${newer}`]);
    assert.equal(await forget(newer), 1);
    assert.deepEqual(await tokens(), ["apns:"]);
    await store().setDevice({ ...profile, pushToken: newer });
    assert.deepEqual(await tokens(), [`apns:${newer}`]);
  });

  it("wakes a device once per interval", async () => {
    const alice = user();
    const profile = { deviceName: "", platform: "ios", appVersion: "1" };
    await store().login({ userId: alice, slot: "mobile", deviceId: "d1", ...profile });
    const turn = (intervalMs: number, deviceId = "d1"): Promise<boolean> =>
      push().takeBackgroundTurn({ userId: alice, deviceId, intervalMs });
    assert.equal(await turn(600_000), true);
    assert.equal(await turn(600_000), false);
    assert.equal(await turn(0), true);
    assert.equal(await turn(600_000), false);
    assert.equal(await turn(0, "unknown"), false);
  });
}
