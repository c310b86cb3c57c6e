// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import { MemoryPushStore } from "../store/memory-push.ts";
import type { PushStepRow, StepLease } from "../store/push-store.ts";
import { StoreClock } from "../store/store-clock.ts";
import { type HeldStep, StepLeases } from "./step-leases.ts";

const LEASE_MS = 6000;

class RenewalStore extends MemoryPushStore {
  readonly renewals: string[][] = [];
  /** Of the next calls, one each: fails before it is carried out, or after. */
  faults: ("before" | "after")[] = [];

  override async renewSteps(renewal: { leases: readonly StepLease[]; untilMs: number }): Promise<boolean[]> {
    const fault = this.faults.shift();
    this.renewals.push(renewal.leases.map(({ step }) => step.userId));
    if (fault === "before") throw new ImError(ErrorCode.RETRYABLE, "away");
    const renewed = await super.renewSteps(renewal);
    if (fault === "after") throw new ImError(ErrorCode.RETRYABLE, "no answer");
    return renewed;
  }
}

describe("leases of steps in hand", () => {
  let clock: FakeClock;
  let store: RenewalStore;
  let leases: StepLeases;
  let faults: string[];
  let aborted: string[];

  beforeEach(() => {
    clock = new FakeClock();
    store = new RenewalStore(
      () => undefined,
      () => undefined,
      () => clock.wallMs(),
    );
    [faults, aborted] = [[], []];
    leases = other();
  });
  // Whatever was taken in hand was let go.
  afterEach(() => assert.equal(clock.pending, 0));

  function other(): StepLeases {
    return new StepLeases({ store, clock: new StoreClock(clock), onFault: (op) => faults.push(op) });
  }

  function step(userId: string, lastSeq = 1): PushStepRow {
    const row = { conversationId: "c_1", channel: "app", deviceId: "", aloneSeq: 0, attempts: 0, reached: false };
    return { ...row, userId, firstSeq: lastSeq, lastSeq, createdMs: 0, dueMs: clock.wallMs(), leased: false };
  }

  async function joined(userId: string, lastSeq = 1, by = leases): Promise<HeldStep> {
    const held = by.join(step(userId, lastSeq));
    await store.saveSteps([held.step]);
    by.attach(held, () => aborted.push(`${userId}/${lastSeq}`));
    return held;
  }

  async function claimed(by = leases): Promise<HeldStep[]> {
    const { steps } = await store.claimSteps({ leaseMs: LEASE_MS, limit: 100 });
    const taken = steps.flatMap((row) => by.take(row) ?? []);
    for (const held of taken) by.attach(held, () => aborted.push(`${held.step.userId}/${held.step.lastSeq}`));
    return taken;
  }

  async function pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 250) {
      clock.advance(Math.min(250, left));
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** The end of the lease in the store, from now. */
  const leftMs = (): number => (store.steps[0]?.dueMs ?? 0) - clock.wallMs();

  it("are renewed while their runs go on, all of them by one statement", async () => {
    const held = [await joined("alice"), await joined("bob")];
    await store.saveSteps([step("carol")]);
    held.push(...(await claimed()));
    assert.equal(held.length, 3);
    await pass(1900);
    assert.deepEqual(store.renewals, [], "short runs cost nothing");
    for (let passed = 0; passed < 20_000; passed += 500) {
      await pass(500);
      assert.ok(leftMs() > 2000, `${leftMs()} ms are left`);
    }
    assert.deepEqual(store.renewals[0], ["alice", "bob", "carol"]);
    assert.ok(store.renewals.length <= 10, `${store.renewals.length} renewals in 22 s`);
    assert.equal((await store.claimSteps({ leaseMs: 1, limit: 9 })).steps.length, 0, "nobody else gets them");
    for (const one of held) leases.release(one);
    assert.deepEqual([leases.size, clock.pending], [0, 0]);
    await pass(7000);
    assert.equal((await store.claimSteps({ leaseMs: 1, limit: 9 })).steps.length, 3, "and then they end");
  });

  it("are gone when somebody else has them: the run is aborted, and the lease not taken back", async () => {
    const [held, mine] = [await joined("alice"), await joined("bob")];
    await pass(2500);
    store.faults = Array.from({ length: 9 }, () => "before");
    await pass(7000);
    assert.equal(held.isLost, false, "nobody knows yet");
    const heir = other();
    const theirs = (await claimed(heir)).map(({ step: { userId } }) => userId);
    assert.deepEqual(theirs, ["alice", "bob"]);
    store.faults = [];
    await pass(1000);
    assert.deepEqual(aborted, ["alice/1", "bob/1"]);
    assert.deepEqual([held.isLost, mine.isLost, leases.size], [true, true, 0]);
    assert.ok(leftMs() > 4000, "it is the other one's");
    assert.deepEqual(leases.close(held)?.endsMs, [], "no lease to settle with");
    assert.ok(faults.every((op) => op === "push leases") && faults.length >= 5, faults.join());
    await pass(30_000);
    assert.equal(heir.size, 0, "even the other one's runs end");
    assert.equal(aborted.length, 4);
  });

  it("are still ours when a renewal failed, or its answer was lost", async () => {
    const held = await joined("alice");
    store.faults = ["after", "before", "after"];
    await pass(10_000);
    assert.deepEqual([held.isLost, aborted], [false, []]);
    assert.ok(leftMs() > 0);
    store.faults = ["after"];
    await pass(2000);
    const lease = leases.close(held);
    assert.ok(lease);
    assert.ok(lease.endsMs.includes(store.steps[0]?.dueMs ?? 0), "whatever the lost answer was");
    await store.settleSteps([{ ...lease, again: undefined }]);
    assert.deepEqual(store.steps, []);
  });

  it("end with the run that takes too long", async () => {
    const held = await joined("alice");
    await pass(29_000);
    assert.deepEqual(aborted, []);
    await pass(2000);
    assert.deepEqual([aborted, held.isLost, leases.size], [["alice/1"], true, 0]);
    await pass(6000);
    assert.equal((await claimed()).length, 1, "and somebody takes it again");
    leases.release(held);
    await pass(31_000);
  });

  it("leave a row alone that was in another one's hand before, and the run goes on", async () => {
    const owner = other();
    const theirs = await joined("alice", 1, owner);
    await pass(500);
    const held = await joined("alice", 2);
    await pass(4000);
    assert.deepEqual([theirs.isLost, held.isLost], [false, true]);
    assert.deepEqual([aborted, leases.size, owner.size], [[], 0, 1]);
    owner.release(theirs);
  });

  it("are shared by the messages of one row, and the newest one settles it", async () => {
    const [first, second] = [await joined("alice", 1), await joined("alice", 2)];
    await pass(3000);
    assert.deepEqual(store.renewals, [["alice"]]);
    assert.equal(leases.close(first), undefined, "a newer one is in hand");
    leases.release(first);
    await pass(3000);
    assert.ok(leftMs() > 0, "still renewed");
    const third = await joined("alice", 3);
    const lease = leases.close(third);
    assert.ok(lease?.endsMs.includes(store.steps[0]?.dueMs ?? 0));
    assert.deepEqual([leases.close(second), leases.close(third)], [undefined, undefined], "it was settled");
    leases.release(third);
    leases.release(second);
  });

  it("are renewed no more once the row is being settled", async () => {
    const held = await joined("alice");
    await pass(1500);
    leases.close(held);
    await pass(3000);
    assert.deepEqual([store.renewals, held.isLost], [[], false]);
    leases.release(held);
  });

  it("are renewed only when the step was written", async () => {
    const held = leases.join(step("alice"));
    await pass(5000);
    assert.deepEqual([store.renewals, held.isLost], [[], false]);
    leases.release(held);
    assert.equal(leases.size, 0);
  });

  it("that ended unnoticed are taken up again without a second run", async () => {
    const held = await joined("alice", 3);
    store.faults = Array.from({ length: 5 }, () => "before");
    await pass(6000);
    assert.deepEqual(await claimed(), [], "it is being pushed");
    assert.deepEqual([held.isLost, leases.size], [false, 1]);
    assert.deepEqual(leases.close(held)?.endsMs, [store.steps[0]?.dueMs]);
    leases.release(held);
  });

  it("that ended unnoticed are run again for what was added meanwhile", async () => {
    const held = await joined("alice", 3);
    await store.saveSteps([step("alice", 4)]);
    store.faults = Array.from({ length: 5 }, () => "before");
    await pass(6000);
    const [more] = await claimed();
    assert.equal(more?.step.lastSeq, 4);
    assert.equal(leases.close(held), undefined, "the newer one settles");
    assert.ok(more && leases.close(more));
    leases.release(held);
    leases.release(more);
  });

  it("lost while a message was about to join them do not keep its run", async () => {
    const held = await joined("alice", 1);
    await pass(3000);
    const next = leases.join(step("alice", 2));
    store.faults = Array.from({ length: 9 }, () => "before");
    await pass(7500);
    const heir = other();
    const [theirs] = await claimed(heir);
    store.faults = [];
    await pass(1000);
    leases.attach(next, () => aborted.push("alice/2"));
    assert.deepEqual(aborted, ["alice/1", "alice/2"]);
    assert.deepEqual([held.isLost, next.isLost], [true, true]);
    assert.ok(theirs);
    heir.release(theirs);
  });
});
