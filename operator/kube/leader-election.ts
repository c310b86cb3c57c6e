// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { Logger } from "#lib/logger.ts";
import type { KubeClient } from "./client.ts";

export interface LeaderElectionOptions {
  client: KubeClient;
  namespace: string;
  /** Name of the Lease. */
  name: string;
  /** Unique for each process, for example `<pod name>_<uuid>`. */
  identity: string;
  log: Logger;
  clock?: Clock;
  random?: () => number;
  /** Others take over this long after the last renewal they saw. Default 15,000 ms. */
  leaseDurationMs?: number;
  /** The leader gives up this long after its last successful renewal was sent. Default 10,000 ms. */
  renewDeadlineMs?: number;
  /** Between attempts. Default 2,000 ms. */
  retryPeriodMs?: number;
  /** Called once when this candidate leads. */
  onLeading(): void;
  /** Called once when leadership was lost against our will: stop at once, that is exit the process. Never after `close`. */
  onLost(reason: string): void;
  onLeaderChanged?(identity: string): void;
}
// class LeaderElection { constructor(options); start(): void; readonly isLeader: boolean; readonly leader: string; close(): Promise<void> /* releases */ }
