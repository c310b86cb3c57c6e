// SPDX-License-Identifier: Apache-2.0

import type { Clock } from "#lib/clock.ts";

/** Runs `fn` after the input of this event loop turn was read; `setImmediate` outside tests. */
export type Defer = (fn: () => void) => void;

/** Options of {@link TickBatch}. */
export interface TickBatchOptions<T> {
  defer: Defer;
  /** Handles one batch; must handle its own faults where there is no `onFailed`. The next batch starts after it. */
  run: (batch: T[]) => Promise<void>;
  /** `run` rejected: what it did of this batch is unknown. */
  onFailed?: (error: unknown, batch: readonly T[]) => void;
  /** Items per batch. */
  maxBatch: number;
  /** Items waiting; more are refused. */
  maxWaiting: number;
  /** A batch that is not full waits for company until so long after the last one began. Default: it does not. */
  spacing?: { clock: Clock; ms: number } | undefined;
  /** An item was refused. */
  onRefused?: (item: T) => void;
}

/**
 * Gathers items of one tick into one call, one call at a time: batches grow with the load, and results keep the
 * order of their items.
 */
export class TickBatch<T> {
  readonly #options: TickBatchOptions<T>;
  #waiting: T[] = [];
  #isScheduled = false;
  #isRunning = false;
  #startedMs = Number.NEGATIVE_INFINITY;
  #cancelWait: (() => void) | undefined;

  constructor(options: TickBatchOptions<T>) {
    this.#options = options;
  }

  get length(): number {
    return this.#waiting.length;
  }

  get isIdle(): boolean {
    return this.#waiting.length === 0 && !this.#isRunning;
  }

  /** False when too many items wait already: the item was not taken. */
  add(item: T): boolean {
    if (this.#waiting.length >= this.#options.maxWaiting) {
      this.#options.onRefused?.(item);
      return false;
    }
    this.#waiting.push(item);
    this.#schedule();
    return true;
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isRunning || this.#waiting.length === 0 || this.#waitsForCompany()) return;
    this.#isScheduled = true;
    this.#options.defer(() => {
      this.#isScheduled = false;
      this.#start();
    });
  }

  /** Then it is scheduled when it has waited, or is full. */
  #waitsForCompany(): boolean {
    const { spacing, maxBatch } = this.#options;
    if (!spacing) return false;
    const waitMs = this.#startedMs + spacing.ms - spacing.clock.nowMs();
    if (waitMs <= 0 || this.#waiting.length >= maxBatch) {
      this.#cancelWait?.();
      this.#cancelWait = undefined;
      return false;
    }
    this.#cancelWait ??= spacing.clock.after(waitMs, () => {
      this.#cancelWait = undefined;
      this.#schedule();
    });
    return true;
  }

  #start(): void {
    if (this.#waiting.length === 0) return;
    let batch = this.#waiting;
    if (batch.length > this.#options.maxBatch) {
      this.#waiting = batch.slice(this.#options.maxBatch);
      batch = batch.slice(0, this.#options.maxBatch);
    } else this.#waiting = [];
    this.#isRunning = true;
    if (this.#options.spacing) this.#startedMs = this.#options.spacing.clock.nowMs();
    void this.#handle(batch).finally(() => {
      this.#isRunning = false;
      this.#schedule();
    });
  }

  async #handle(batch: T[]): Promise<void> {
    const { run, onFailed } = this.#options;
    if (!onFailed) return run(batch);
    try {
      await run(batch);
    } catch (error) {
      onFailed(error, batch);
    }
  }
}
