// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";

export interface WorkQueueOptions {
  clock?: Clock;
  /** Delay after the first failure of a key. Default 5 ms. */
  baseMs?: number;
  /** Default 300,000 ms. */
  capMs?: number;
  metrics?: WorkQueueMetrics;
}

export interface WorkQueueMetrics {
  depth?(keys: number): void;
  waited?(durationMs: number): void;
  processed?(durationMs: number, result: "ok" | "requeued" | "failed"): void;
}

/** What a worker says about a key it worked on: done until the next event, or look again after `requeueAfterMs`. */
export type WorkOutcome = { requeueAfterMs?: number } | undefined;

/** Keys to work on, each by one worker at a time, each waiting at most once (the semantics of client-go's workqueue). */
export interface WorkQueuePort {
  add(key: string): void;
  addAfter(key: string, delayMs: number): void;
  addRateLimited(key: string): void;
  forget(key: string): void;
  /** Keys waiting, without those being worked on or delayed. */
  readonly length: number;
  /** Runs `workers` workers until shutdown. A throw puts the key back rate limited (>= the error's `retryAfterMs`). */
  run(
    workers: number,
    fn: (key: string) => Promise<WorkOutcome>,
    onError?: (key: string, error: unknown) => void,
  ): Promise<void>;
  shutdown(): void;
}
// class WorkQueue implements WorkQueuePort { constructor(options?: WorkQueueOptions) }
