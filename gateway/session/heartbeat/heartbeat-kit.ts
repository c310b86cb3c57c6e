// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { HEARTBEAT_ALGORITHMS, type HeartbeatAlgorithm } from "./algorithms.ts";
import { DeadlineList } from "./deadline-list.ts";
import { FullScan } from "./full-scan.ts";
import type { HeartbeatItem, Heartbeats } from "./heartbeats.ts";
import { LeaseSigner } from "./lease.ts";
import { LeaseBuckets } from "./lease-buckets.ts";
import { HashedWheel } from "./wheel.ts";

/** Key and mark of the buckets under test. */
export const TEST_KEY = Buffer.alloc(32, 7);
export const TEST_ENTRY = 4711;

/** A connection as tests see it: dies once at its deadline, which the test moves as frames would. */
export class TestItem implements HeartbeatItem {
  readonly conn: number;
  place = 0;
  deadline: number;
  diedAt: number | undefined;
  visits = 0;

  constructor(conn: number, deadline: number) {
    this.conn = conn;
    this.deadline = deadline;
  }

  dueTick(): number {
    this.visits++;
    return this.deadline;
  }

  onDue(nowTick: number): void {
    this.diedAt = nowTick;
    this.deadline = Number.POSITIVE_INFINITY;
  }
}

const MAKERS: Record<HeartbeatAlgorithm, (clock: Clock) => Heartbeats> = {
  wheel: (clock) => new HashedWheel(clock),
  scan: (clock) => new FullScan(clock),
  list: (clock) => new DeadlineList(clock),
  buckets: (clock) => new LeaseBuckets(clock, { signer: new LeaseSigner(TEST_KEY), entry: TEST_ENTRY }),
};

/** Every algorithm, and how tests make it. */
export const MADE_FOR_TESTS = HEARTBEAT_ALGORITHMS.map((name) => ({ name, make: MAKERS[name] }));
