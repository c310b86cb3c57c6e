// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { it } from "node:test";
import type { PushStepRow, SettledStep } from "../push-store.ts";
import { type ContractStore, user } from "./fixture.ts";
import { settled, step, T0 } from "./push.ts";

const LONG_MS = 60_000;

/** Leases of steps in hand. */
export function pushLeaseContract(store: () => ContractStore): void {
  const push = () => store().pushStore;
  /** Takes `userId`'s one step. */
  const claim = async (userId: string, leaseMs = LONG_MS): Promise<PushStepRow | undefined> => {
    const { steps } = await push().claimSteps({ leaseMs, limit: 1000 });
    return steps.find((row) => row.userId === userId);
  };
  const claimed = async (userId: string, leaseMs = LONG_MS): Promise<PushStepRow> => {
    const row = await claim(userId, leaseMs);
    assert.ok(row, "nothing to take");
    return row;
  };
  const again = (row: PushStepRow, dueMs: number): SettledStep =>
    settled(row, { dueMs, attempts: 1, firstSeq: 5, reached: false });

  it("renews the leases that are still the caller's, and tells of each", async () => {
    const [alice, bob, carol] = [user(), user(), user()];
    await push().saveSteps([step(alice), step(bob), step(carol, { dueMs: 4_000_000_000_000 })]);
    const { steps, nowMs } = await push().claimSteps({ leaseMs: 0, limit: 1000 });
    const [mine, other] = [alice, bob].map((userId) => steps.find((row) => row.userId === userId));
    assert.ok(mine && other);
    const leases = [
      { step: other, endsMs: [other.dueMs - 1, other.dueMs + 1] },
      { step: step(carol), endsMs: [4_000_000_000_000] },
      { step: mine, endsMs: [T0, mine.dueMs] },
      { step: step(user()), endsMs: [T0] },
      { step: { ...mine, channel: "sms" }, endsMs: [mine.dueMs] },
    ];
    const untilMs = nowMs + LONG_MS;
    assert.deepEqual(await push().renewSteps({ leases, untilMs }), [false, false, true, false, false]);
    const taken = (await push().claimSteps({ leaseMs: LONG_MS, limit: 1000 })).steps.map(({ userId }) => userId);
    assert.deepEqual([taken.includes(alice), taken.includes(bob)], [false, true], "one is in hand for longer now");
    const later = { leases: [{ step: mine, endsMs: [untilMs] }], untilMs: nowMs - 1 };
    assert.deepEqual(await push().renewSteps(later), [true], "the new end counts");
    await claimed(alice);
    assert.deepEqual(await push().renewSteps({ leases: [], untilMs }), []);
  });

  it("gives no lease back that somebody else took meanwhile", async () => {
    const alice = user();
    await push().saveSteps([step(alice)]);
    const first = await claimed(alice, 0);
    const second = await claimed(alice);
    const renewal = { leases: [{ step: first, endsMs: [first.dueMs] }], untilMs: first.dueMs };
    assert.deepEqual(await push().renewSteps(renewal), [false]);
    assert.equal(await claim(alice), undefined, "it stays with the second one");
    await push().settleSteps([again(first, T0)]);
    assert.equal(await claim(alice), undefined, "the first one's next try is not due: the second one makes its own");
    await push().settleSteps([again(second, T0)]);
    assert.equal((await claimed(alice)).attempts, 1);
  });

  it("ends a step for everybody, unless something was added that only another one has in hand", async () => {
    const [alice, bob] = [user(), user()];
    await push().saveSteps([step(alice)]);
    const first = await claimed(alice, 0);
    const theirs = await claimed(alice);
    await push().saveSteps([step(bob)]);
    await claimed(bob);
    await push().saveSteps([step(alice, { firstSeq: 6, lastSeq: 6 })]);
    await push().settleSteps([settled(first, undefined), { step: step(bob), endsMs: [], again: undefined }]);
    assert.equal(await claim(alice), undefined, "it stays with whoever has it in hand");
    await push().settleSteps([settled(theirs, undefined)]);
    assert.equal((await claimed(alice)).firstSeq, 6);
    assert.equal((await push().renewSteps({ leases: [{ step: step(bob), endsMs: [T0] }], untilMs: T0 }))[0], false);
    await push().saveSteps([step(bob, { lastSeq: 9 })]);
    assert.equal((await claimed(bob)).lastSeq, 9, "it was over: this one is not in anybody's hand");
  });

  it("settles with any end that the lease may have", async () => {
    const alice = user();
    await push().saveSteps([step(alice)]);
    const mine = await claimed(alice);
    const untilMs = mine.dueMs + LONG_MS;
    await push().renewSteps({ leases: [{ step: mine, endsMs: [mine.dueMs] }], untilMs });
    await push().settleSteps([again(mine, T0)]);
    assert.equal(await claim(alice), undefined, "not with the old end alone");
    await push().settleSteps([{ ...again(mine, T0), endsMs: [mine.dueMs, untilMs] }]);
    assert.equal((await claimed(alice)).attempts, 1);
  });
}

/** Leases of many steps at the same time. */
export function pushLeaseRaceContract(store: () => ContractStore): void {
  const push = () => store().pushStore;

  it("does not lock up when leases are renewed, ended and taken at the same time, in any order", async () => {
    const users = Array.from({ length: 40 }, user);
    await push().saveSteps(users.map((userId) => step(userId)));
    const { steps } = await push().claimSteps({ leaseMs: LONG_MS, limit: 1000 });
    const mine = steps.filter(({ userId }) => users.includes(userId));
    const leases = mine.map((row) => ({ step: row, endsMs: [row.dueMs, row.dueMs + 1] }));
    const until = (untilMs: number, order: typeof leases) => push().renewSteps({ leases: order, untilMs });
    const endMs = mine[0]?.dueMs ?? 0;
    const backwards = [...leases].reverse();
    await Promise.all([
      until(endMs, leases),
      until(endMs, backwards),
      push().saveSteps(mine.map((row) => ({ ...row, leased: false })).reverse()),
      until(endMs, leases),
      push().claimSteps({ leaseMs: LONG_MS, limit: 1000 }),
    ]);
    await push().settleSteps(leases.map((lease) => ({ ...lease, endsMs: [endMs], again: undefined })));
    assert.deepEqual(new Set(await until(endMs, leases)), new Set([false]));
  });
}
