// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { SHARDS } from "../push/shard.ts";
import type { AckWheel, Fired } from "./ack-wheel.ts";
import type { PushIntent } from "./offline.ts";

/** An empty wheel and what surrounds it. */
export interface WheelHarness {
  wheel: AckWheel;
  /** Lets time pass for everything the wheel holds. */
  elapse(ms: number): Promise<void>;
  /** Push intents queued so far, in order of their user. */
  intents(): Promise<PushIntent[]>;
}

export const ALL_SHARDS: readonly number[] = Array.from({ length: SHARDS }, (_, shard) => shard);

const TIMEOUT_MS = 5000;

/** Whoever fires in any shard, as text. */
export async function fireAll(wheel: AckWheel): Promise<string[]> {
  const states = await wheel.fire(ALL_SHARDS);
  const show = ({ userId, slot, fromSeq, inboxSeq }: Fired): string => `${userId}/${slot} ${fromSeq}-${inboxSeq}`;
  return states.flatMap(({ fired }) => fired.map(show)).sort();
}

export async function pendingOf(wheel: AckWheel): Promise<number> {
  return (await wheel.fire(ALL_SHARDS)).reduce((sum, { pending }) => sum + pending, 0);
}

/** What every {@link AckWheel} must do, run on the model and on real Redis. */
export function ackWheelContract(name: string, setUp: () => Promise<WheelHarness>): void {
  describe(`ack wheel contract: ${name}`, () => {
    let harness: WheelHarness;
    beforeEach(async () => {
      harness = await setUp();
    });
    const key = { userId: "bob", slot: "mobile" };
    const arm = (fromSeq: number, inboxSeq: number, dueInMs = TIMEOUT_MS, slot = key.slot) =>
      harness.wheel.update([], [{ ...key, slot, fromSeq, inboxSeq, dueInMs }]);
    const settle = (inboxSeq: number, slot = key.slot) => harness.wheel.update([{ ...key, slot, inboxSeq }], []);
    firing(() => ({ ...harness, arm, settle }));
    settling(() => ({ ...harness, arm, settle }));
    bounds(() => harness);
  });
}

interface Bob extends WheelHarness {
  arm(fromSeq: number, inboxSeq: number, dueInMs?: number, slot?: string): Promise<void>;
  settle(inboxSeq: number, slot?: string): Promise<void>;
}

function firing(bob: () => Bob): void {
  it("fires once, when nobody acknowledged in time, into the stream", async () => {
    const { wheel, elapse, intents, arm } = bob();
    await arm(3, 7);
    await elapse(4500);
    assert.deepEqual(await fireAll(wheel), []);
    assert.equal(await pendingOf(wheel), 1);
    await elapse(500);
    assert.deepEqual(await fireAll(wheel), ["bob/mobile 3-7"]);
    assert.deepEqual(await fireAll(wheel), []);
    assert.deepEqual(await intents(), [{ userId: "bob", inboxSeq: 7, cause: "timeout", fromSeq: 3, slot: "mobile" }]);
    assert.equal(await pendingOf(wheel), 0);
  });

  it("fires at the deadline of the oldest, each group by itself", async () => {
    const { wheel, elapse, arm } = bob();
    await arm(1, 1);
    await elapse(2000);
    await arm(2, 3);
    await elapse(3000);
    assert.deepEqual(await fireAll(wheel), ["bob/mobile 1-1"]);
    assert.equal(await pendingOf(wheel), 1);
    await elapse(2000);
    assert.deepEqual(await fireAll(wheel), ["bob/mobile 2-3"]);
  });

  it("gives deliveries close together the deadline of the first", async () => {
    const { wheel, elapse, arm } = bob();
    await arm(1, 1);
    await arm(2, 2);
    await arm(4, 5);
    await elapse(5000);
    assert.deepEqual(await fireAll(wheel), ["bob/mobile 1-5"]);
  });

  it("takes what another logic delivered before, and tells late, at its own age", async () => {
    const { wheel, elapse, arm } = bob();
    await arm(4, 6);
    await arm(2, 3, 1000);
    await elapse(1000);
    assert.deepEqual(await fireAll(wheel), ["bob/mobile 2-6"], "the older one decides for both");
  });

  it("lets a due delivery stand for those before it that are not due yet", async () => {
    const { wheel, elapse, arm } = bob();
    await arm(1, 3);
    await elapse(1000);
    await arm(7, 9);
    await arm(5, 5, 2000);
    await elapse(2000);
    assert.deepEqual(await fireAll(wheel), ["bob/mobile 1-9"]);
    assert.equal(await pendingOf(wheel), 0);
  });

  it("keeps slots of one user apart", async () => {
    const { wheel, elapse, arm, settle } = bob();
    await arm(1, 4);
    await arm(1, 4, TIMEOUT_MS, "web");
    await settle(4, "web");
    await elapse(5000);
    assert.deepEqual(await fireAll(wheel), ["bob/mobile 1-4"]);
  });

  it("changes nothing when a call is repeated", async () => {
    const { wheel, elapse, arm, settle, intents } = bob();
    await arm(1, 4);
    await elapse(2000);
    await arm(1, 4);
    await settle(2);
    await settle(2);
    await elapse(3000);
    assert.deepEqual(await fireAll(wheel), ["bob/mobile 3-4"]);
    assert.equal((await intents()).length, 1);
  });

  it("tells how late it is, and when to look next", async () => {
    const { wheel, elapse, arm } = bob();
    await arm(1, 1);
    const next = (await wheel.fire(ALL_SHARDS)).flatMap(({ nextInMs }) => nextInMs ?? []);
    assert.ok(next.length === 1 && (next[0] ?? 0) > 4000 && (next[0] ?? 0) <= 5000, String(next));
    await elapse(8000);
    const late = Math.max(...(await wheel.fire(ALL_SHARDS)).map(({ lagMs }) => lagMs));
    assert.ok(late >= 3000 && late < 4000, String(late));
    assert.ok((await wheel.fire(ALL_SHARDS)).every(({ nextInMs }) => nextInMs === undefined));
  });
}

function settling(bob: () => Bob): void {
  it("never fires for who keeps acknowledging", async () => {
    const { wheel, elapse, arm, settle, intents } = bob();
    for (let seq = 1; seq <= 12; seq++) {
      await arm(seq, seq);
      await elapse(1000);
      if (seq > 2) await settle(seq - 2);
      assert.deepEqual(await fireAll(wheel), []);
    }
    await settle(12);
    await elapse(10_000);
    assert.deepEqual([await fireAll(wheel), await intents(), await pendingOf(wheel)], [[], [], 0]);
  });

  it("waits from the oldest that is left, not from the first or the newest", async () => {
    const { wheel, elapse, arm, settle } = bob();
    for (const seq of [1, 2, 3]) {
      await arm(seq, seq);
      await elapse(1000);
    }
    await settle(1);
    await elapse(2000);
    assert.deepEqual(await fireAll(wheel), [], "the first would be due");
    await elapse(1000);
    assert.deepEqual(await fireAll(wheel), ["bob/mobile 2-2"]);
  });

  it("takes an acknowledgement that comes before its delivery", async () => {
    const { wheel, elapse, arm, settle } = bob();
    await settle(5);
    await arm(3, 5);
    await arm(5, 6);
    await elapse(5000);
    assert.deepEqual(await fireAll(wheel), ["bob/mobile 6-6"]);
  });

  it("does not move back", async () => {
    const { wheel, elapse, arm, settle } = bob();
    await arm(1, 9);
    await settle(8);
    await settle(2);
    await elapse(5000);
    assert.deepEqual(await fireAll(wheel), ["bob/mobile 9-9"]);
  });

  it("takes late acknowledgements at any time, and forgets positions", async () => {
    const { wheel, elapse, arm, settle } = bob();
    await arm(1, 1);
    await elapse(5000);
    await fireAll(wheel);
    await settle(1);
    await elapse(3000);
    await fireAll(wheel);
    await arm(1, 1);
    await elapse(5000);
    assert.deepEqual(await fireAll(wheel), ["bob/mobile 1-1"], "nothing is remembered for ever");
  });
}

function bounds(harness: () => WheelHarness): void {
  it("fires a bounded number of slots in one call, and all of them in the end", async () => {
    const { wheel, elapse, intents } = harness();
    const armed = Array.from({ length: 250 }, (_, at) => ({
      userId: "bob",
      slot: `s${at}`,
      fromSeq: 1,
      inboxSeq: 1,
      dueInMs: 1000,
    }));
    await wheel.update([], armed);
    await elapse(1000);
    const counts: number[] = [];
    for (let round = 0; round < 4; round++) counts.push((await fireAll(wheel)).length);
    assert.deepEqual(counts, [100, 100, 50, 0]);
    assert.equal((await intents()).length, 250);
  });

  it("takes seqs up to 2^53 and any user id", async () => {
    const { wheel, elapse } = harness();
    const last = Number.MAX_SAFE_INTEGER - 1;
    const armed = ["a/b;c=d,e", "用户", "x".repeat(64)].map((userId) => ({
      ...{ userId, slot: "web", fromSeq: last - 1, inboxSeq: last, dueInMs: 0 },
    }));
    await wheel.update([], armed);
    await elapse(1);
    assert.deepEqual(await fireAll(wheel), armed.map(({ userId }) => `${userId}/web ${last - 1}-${last}`).sort());
  });

  it("does nothing when nothing is asked", async () => {
    await harness().wheel.update([], []);
    assert.deepEqual(await harness().wheel.fire([]), []);
  });
}
