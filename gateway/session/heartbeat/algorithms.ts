// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from "node:crypto";
import type { Clock } from "#lib/clock.ts";
import { DeadlineList } from "./deadline-list.ts";
import { FullScan } from "./full-scan.ts";
import type { Heartbeats } from "./heartbeats.ts";
import { LeaseSigner } from "./lease.ts";
import { LeaseBuckets } from "./lease-buckets.ts";
import { HashedWheel } from "./wheel.ts";

/** Names of the algorithms, as in IM_HEARTBEAT. */
export const HEARTBEAT_ALGORITHMS = ["wheel", "scan", "list", "buckets"] as const;
export type HeartbeatAlgorithm = (typeof HEARTBEAT_ALGORITHMS)[number];

const KEY_BYTES = 32;

/** The key of `buckets` is new for every process: its leases count in this one only. */
export function createHeartbeats(algorithm: HeartbeatAlgorithm, clock: Clock): Heartbeats {
  switch (algorithm) {
    case "wheel":
      return new HashedWheel(clock);
    case "scan":
      return new FullScan(clock);
    case "list":
      return new DeadlineList(clock);
    case "buckets":
      return new LeaseBuckets(clock, { signer: new LeaseSigner(randomBytes(KEY_BYTES)), entry: 0 });
  }
}
