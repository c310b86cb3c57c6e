// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { createHeartbeats, HEARTBEAT_ALGORITHMS } from "./algorithms.ts";
import { DeadlineList } from "./deadline-list.ts";
import { MADE_FOR_TESTS, TEST_ENTRY, TEST_KEY, TestItem } from "./heartbeat-kit.ts";
import { heartbeatsContract } from "./heartbeats.contract.ts";
import { NO_ECHO } from "./heartbeats.ts";
import { LeaseSigner } from "./lease.ts";
import { LeaseBuckets } from "./lease-buckets.ts";
import { HashedWheel } from "./wheel.ts";

for (const { name, make } of MADE_FOR_TESTS) heartbeatsContract(name, make);

describe("createHeartbeats", () => {
  it("makes each algorithm by its name, with a fresh key for leases", () => {
    const clock = new FakeClock();
    const kinds = HEARTBEAT_ALGORITHMS.map((name) => createHeartbeats(name, clock).constructor.name);
    assert.deepEqual(kinds, ["HashedWheel", "FullScan", "DeadlineList", "LeaseBuckets"]);
    const [one, other] = [createHeartbeats("buckets", clock), createHeartbeats("buckets", clock)];
    const item = new TestItem(1, 10);
    one.schedule(item);
    const lease = one.leaseOf(item) ?? NO_ECHO;
    const twin = new TestItem(1, 10);
    other.schedule(twin);
    other.touch(twin, lease);
    assert.equal((other as LeaseBuckets).refusedEchoes, 1);
  });
});

describe("what a heartbeat costs", () => {
  const beats = (heartbeats: HashedWheel | DeadlineList, count: number): number => {
    const items = Array.from({ length: 100 }, (_, at) => new TestItem(at + 1, heartbeats.nowTick + 61));
    for (const item of items) heartbeats.schedule(item);
    for (const item of items) item.visits = 0;
    for (let at = 0; at < count; at++)
      for (const item of items) {
        item.deadline = heartbeats.nowTick + 61;
        heartbeats.touch(item, NO_ECHO);
      }
    return items.reduce((sum, { visits }) => sum + visits, 0);
  };

  it("nothing in the wheel: it does not even look", () => {
    assert.equal(beats(new HashedWheel(new FakeClock()), 10), 0);
  });

  it("one look in the list", () => {
    assert.equal(beats(new DeadlineList(new FakeClock()), 10), 1000);
  });

  it("the wheel looks at a connection once per deadline, not once per tick", () => {
    const wheel = new HashedWheel(new FakeClock());
    const item = new TestItem(1, wheel.nowTick + 61);
    wheel.schedule(item);
    item.visits = 0;
    for (let tick = 0; tick < 600; tick++) {
      if (tick % 30 === 0) item.deadline = wheel.nowTick + 61;
      wheel.tick();
    }
    assert.equal(item.diedAt, undefined);
    // About every 31 ticks, twice each: is it due, and where to.
    assert.ok(item.visits <= 42, `${item.visits} visits`);
  });
});

describe("LeaseBuckets", () => {
  const setUp = () => {
    const signer = new LeaseSigner(TEST_KEY);
    const buckets = new LeaseBuckets(new FakeClock(), { signer, entry: TEST_ENTRY });
    const item = new TestItem(9, buckets.nowTick + 61);
    buckets.schedule(item);
    return { signer, buckets, item };
  };

  it("tells the deadline as a lease, and takes it back", () => {
    const { signer, buckets, item } = setUp();
    const lease = buckets.leaseOf(item) ?? NO_ECHO;
    const verdict = signer.verify(lease, { now: 1, maxAhead: 1000 });
    assert.deepEqual(verdict, { kind: "ok", lease: { deadline: 62, entry: TEST_ENTRY, generation: 9 } });
    item.deadline = 80;
    buckets.touch(item, lease);
    assert.deepEqual([item.place, buckets.refusedEchoes], [80, 0]);
  });

  it("counts what is no lease of this connection, process and time", () => {
    const { signer, buckets, item } = setUp();
    const bad = [
      Buffer.alloc(22),
      signer.sign({ deadline: 62, entry: TEST_ENTRY, generation: 8 }),
      signer.sign({ deadline: 62, entry: TEST_ENTRY + 1, generation: 9 }),
      signer.sign({ deadline: 1, entry: TEST_ENTRY, generation: 9 }),
      signer.sign({ deadline: 5000, entry: TEST_ENTRY, generation: 9 }),
      new LeaseSigner(Buffer.alloc(32, 8)).sign({ deadline: 62, entry: TEST_ENTRY, generation: 9 }),
    ];
    for (const echo of bad) buckets.touch(item, echo);
    assert.equal(buckets.refusedEchoes, bad.length);
    for (let tick = 0; tick < 100; tick++) buckets.tick();
    assert.equal(item.diedAt, 62);
  });

  it("has no lease for what is in no bucket, or is no connection", () => {
    const { buckets, item } = setUp();
    item.deadline = 2;
    buckets.schedule(item);
    buckets.tick();
    assert.equal(buckets.leaseOf(item), undefined);
    assert.equal(buckets.leaseOf({ place: 5, dueTick: () => 5, onDue: () => undefined }), undefined);
  });
});
