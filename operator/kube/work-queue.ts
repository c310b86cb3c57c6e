// SPDX-License-Identifier: Apache-2.0
import { type Clock, systemClock } from "#lib/clock.ts";
import { ImError } from "#lib/errors.ts";

const DEFAULT_BASE_MS = 5;
const DEFAULT_CAP_MS = 300_000;

export interface WorkQueueOptions {
  clock?: Clock;
  /** Delay after the first failure of a key; doubles with each further one. Default 5 ms. */
  baseMs?: number;
  /** Default 300,000 ms. */
  capMs?: number;
  metrics?: WorkQueueMetrics;
}

export interface WorkQueueMetrics {
  /** Keys that wait for a worker. */
  depth?(keys: number): void;
  /** From the add to the worker. */
  waited?(durationMs: number): void;
  processed?(durationMs: number, result: "ok" | "requeued" | "failed"): void;
}

/** What a worker says about a key: done until the next event, or look again after `requeueAfterMs`. */
export type WorkOutcome = { requeueAfterMs?: number } | undefined;

/** The side of the queue that event handlers see. */
export interface WorkSink {
  add(key: string): void;
  addAfter(key: string, delayMs: number): void;
}

interface Delayed {
  readyAtMs: number;
  cancel: () => void;
}

/**
 * Keys to work on, with the semantics of client-go's workqueue: a key waits at most once however often it is added, one
 * worker at a time works on it, and one added meanwhile waits again as soon as its worker is done. Bounded by the number
 * of distinct keys.
 */
export class WorkQueue implements WorkSink {
  readonly #clock: Clock;
  readonly #baseMs: number;
  readonly #capMs: number;
  readonly #metrics: WorkQueueMetrics;
  /** Waiting keys in order, with the time of their add. A Map keeps insertion order and removes in O(1). */
  readonly #ready = new Map<string, number>();
  /** Added since their worker took them; includes every waiting key. */
  readonly #dirty = new Set<string>();
  readonly #processing = new Set<string>();
  readonly #delayed = new Map<string, Delayed>();
  readonly #failures = new Map<string, number>();
  readonly #idleWorkers: ((key: string | undefined) => void)[] = [];
  #isShutDown = false;

  constructor(options: WorkQueueOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#baseMs = options.baseMs ?? DEFAULT_BASE_MS;
    this.#capMs = options.capMs ?? DEFAULT_CAP_MS;
    this.#metrics = options.metrics ?? {};
  }

  /** Keys that wait for a worker, without those being worked on or delayed. */
  get length(): number {
    return this.#ready.size;
  }

  add(key: string): void {
    if (this.#isShutDown || this.#dirty.has(key)) return;
    this.#dirty.add(key);
    if (!this.#processing.has(key)) this.#enqueue(key);
  }

  /** Adds the key once the delay is over. Of several delays of one key the earliest counts. */
  addAfter(key: string, delayMs: number): void {
    if (this.#isShutDown) return;
    if (delayMs <= 0) {
      this.add(key);
      return;
    }
    const readyAtMs = this.#clock.nowMs() + delayMs;
    const current = this.#delayed.get(key);
    if (current && current.readyAtMs <= readyAtMs) return;
    current?.cancel();
    const cancel = this.#clock.after(delayMs, () => {
      this.#delayed.delete(key);
      this.add(key);
    });
    this.#delayed.set(key, { readyAtMs, cancel });
  }

  /** Adds after the key's failure delay: base, 2 base, 4 base, ... cap; until {@link forget}. */
  addRateLimited(key: string): void {
    this.addAfter(key, this.#nextFailureDelayMs(key));
  }

  /** The key succeeded: its next failure starts at the base delay again. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** Failures of the key since its last {@link forget}. */
  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** The next key, which nobody else gets before {@link done}; `undefined` when there is none now. */
  tryGet(): string | undefined {
    const [first] = this.#ready;
    if (!first) return undefined;
    const [key, addedAtMs] = first;
    this.#ready.delete(key);
    this.#dirty.delete(key);
    this.#processing.add(key);
    this.#metrics.waited?.(this.#clock.nowMs() - addedAtMs);
    this.#metrics.depth?.(this.#ready.size);
    return key;
  }

  /** Must be called once for each key got, also after a failure. */
  done(key: string): void {
    if (this.#processing.delete(key) && this.#dirty.has(key)) this.#enqueue(key);
  }

  /**
   * Runs `workers` workers; resolves when the queue was shut down and what they were at is finished. When `fn` throws,
   * `onError` is told and the key comes back rate limited, not before the `retryAfterMs` of an ImError.
   */
  async run(
    workers: number,
    fn: (key: string) => Promise<WorkOutcome>,
    onError: (key: string, error: unknown) => void,
  ): Promise<void> {
    await Promise.all(Array.from({ length: workers }, () => this.#work(fn, onError)));
  }

  /** No key is taken or given out any more; waiting and delayed keys are dropped. */
  shutdown(): void {
    this.#isShutDown = true;
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#delayed.clear();
    this.#ready.clear();
    this.#dirty.clear();
    this.#failures.clear();
    for (const wake of this.#idleWorkers.splice(0)) wake(undefined);
    this.#metrics.depth?.(0);
  }

  #enqueue(key: string): void {
    this.#ready.set(key, this.#clock.nowMs());
    this.#metrics.depth?.(this.#ready.size);
    const wake = this.#idleWorkers.shift();
    if (wake) wake(this.tryGet());
  }

  async #work(fn: (key: string) => Promise<WorkOutcome>, onError: (key: string, error: unknown) => void) {
    for (let key = await this.#next(); key !== undefined; key = await this.#next()) {
      const startedMs = this.#clock.nowMs();
      const result = await this.#process(key, fn, onError);
      this.#metrics.processed?.(this.#clock.nowMs() - startedMs, result);
    }
  }

  async #process(
    key: string,
    fn: (key: string) => Promise<WorkOutcome>,
    onError: (key: string, error: unknown) => void,
  ): Promise<"ok" | "requeued" | "failed"> {
    try {
      const outcome = await fn(key);
      this.forget(key);
      if (outcome?.requeueAfterMs === undefined) return "ok";
      this.addAfter(key, outcome.requeueAfterMs);
      return "requeued";
    } catch (error) {
      const atLeastMs = error instanceof ImError ? error.retryAfterMs : 0;
      this.addAfter(key, Math.max(atLeastMs, this.#nextFailureDelayMs(key)));
      onError(key, error);
      return "failed";
    } finally {
      this.done(key);
    }
  }

  async #next(): Promise<string | undefined> {
    if (this.#isShutDown) return undefined;
    return this.tryGet() ?? (await new Promise<string | undefined>((resolve) => this.#idleWorkers.push(resolve)));
  }

  #nextFailureDelayMs(key: string): number {
    if (this.#isShutDown) return this.#baseMs;
    const failures = this.failures(key);
    this.#failures.set(key, failures + 1);
    // 2^30 is beyond any cap; the bound keeps the product finite.
    return Math.min(this.#capMs, this.#baseMs * 2 ** Math.min(failures, 30));
  }
}
