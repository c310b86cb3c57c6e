// SPDX-License-Identifier: Apache-2.0
import { BoundedQueue } from "#lib/bounded-queue.ts";
import type { Clock } from "#lib/clock.ts";
import { ErrorCode, ImError, toImError } from "#lib/errors.ts";
import { type AppendInput, type AppendResult, MAX_BATCH, MAX_BATCH_BYTES, type Store } from "./store.ts";

/** Runs once per accepted message; must not throw. */
export type AppendDone = (result: AppendResult | ImError) => void;

/** Options of {@link GroupCommit}; the defaults suit one logic process. */
export interface GroupCommitOptions {
  clock: Clock;
  /** Transactions at the same time; no more than the store has append connections. Default 2. */
  connections?: number;
  /** Messages per transaction. Default {@link MAX_BATCH}. */
  maxBatch?: number;
  /** Content bytes per transaction. Default {@link MAX_BATCH_BYTES}. */
  maxBatchBytes?: number;
  /** Messages waiting; one more is refused. Default 20 000. */
  maxPending?: number;
  /** Content bytes waiting. Default 64 MiB. */
  maxPendingBytes?: number;
  /** A message that waited longer is answered BUSY, before any SQL. Default 100 ms. */
  maxQueueMs?: number;
  /** Told about every transaction: messages in it, its duration, and its error, if any. */
  observe?: (messages: number, durationMs: number, error: ImError | undefined) => void;
}

interface Pending {
  input: AppendInput;
  done: AppendDone;
  sinceMs: number;
}

const RETRY_AFTER_MS = 200;

/**
 * Collects messages from all connections into few transactions. Whenever one of N writers is idle it takes everything
 * that waits: alone, a message commits at once; under load, batches grow until the database keeps up. No promise and no
 * timer per message. With several connections, messages of one conversation may commit in another order than submitted.
 */
export class GroupCommit {
  readonly #store: Pick<Store, "append">;
  readonly #clock: Clock;
  readonly #maxBatch: number;
  readonly #maxBatchBytes: number;
  readonly #maxQueueMs: number;
  readonly #observe: GroupCommitOptions["observe"];
  readonly #queue: BoundedQueue<Pending>;
  #idleWriters: number;
  #inFlight = 0;
  #scheduled = false;
  #closed = false;
  #onDrained: (() => void) | undefined;

  constructor(store: Pick<Store, "append">, options: GroupCommitOptions) {
    this.#store = store;
    this.#clock = options.clock;
    this.#idleWriters = options.connections ?? 2;
    this.#maxBatch = options.maxBatch ?? MAX_BATCH;
    this.#maxBatchBytes = options.maxBatchBytes ?? MAX_BATCH_BYTES;
    this.#maxQueueMs = options.maxQueueMs ?? 100;
    this.#observe = options.observe;
    this.#queue = new BoundedQueue({
      maxItems: options.maxPending ?? 20_000,
      maxBytes: options.maxPendingBytes ?? 64 * 1024 * 1024,
    });
  }

  /** Messages that wait for a transaction. */
  get pending(): number {
    return this.#queue.length;
  }

  /** Messages in running transactions. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /**
   * Takes a message for the next transaction. `done` gets its result after the commit, or BUSY (nothing was done),
   * or what {@link Store.append} throws. False: shed, `done` never runs.
   */
  submit(input: AppendInput, done: AppendDone): boolean {
    if (this.#closed) return false;
    const taken = this.#queue.push({ input, done, sinceMs: this.#clock.nowMs() }, input.content.length);
    if (taken) this.#schedule();
    return taken;
  }

  /** Waits for the rest of this event-loop turn, so that frames read from many sockets share a transaction. */
  #schedule(): void {
    if (this.#scheduled || this.#idleWriters === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      while (this.#idleWriters > 0 && this.#queue.length > 0) void this.#write();
    });
  }

  async #write(): Promise<void> {
    this.#idleWriters--;
    for (let batch = this.#take(); batch.length > 0; batch = this.#take()) {
      this.#inFlight += batch.length;
      await this.#append(batch);
      this.#inFlight -= batch.length;
    }
    this.#idleWriters++;
    if (this.#inFlight === 0) this.#onDrained?.();
  }

  /** The next batch; empty only when nothing waits. */
  #take(): Pending[] {
    const batch: Pending[] = [];
    const oldestMs = this.#clock.nowMs() - this.#maxQueueMs;
    let bytes = 0;
    for (let next = this.#queue.peek(); next && batch.length < this.#maxBatch; next = this.#queue.peek()) {
      bytes += next.input.content.length;
      if (batch.length > 0 && bytes > this.#maxBatchBytes) break;
      this.#queue.shift();
      if (next.sinceMs >= oldestMs) {
        batch.push(next);
      } else {
        bytes -= next.input.content.length;
        next.done(new ImError(ErrorCode.BUSY, "waited too long for a transaction", { retryAfterMs: RETRY_AFTER_MS }));
      }
    }
    return batch;
  }

  async #append(batch: readonly Pending[]): Promise<void> {
    const startedMs = this.#clock.nowMs();
    try {
      const results = await this.#store.append(batch.map((pending) => pending.input));
      this.#observe?.(batch.length, this.#clock.nowMs() - startedMs, undefined);
      for (const [index, pending] of batch.entries()) pending.done(results[index] ?? missing());
    } catch (thrown) {
      const error = toImError(thrown);
      this.#observe?.(batch.length, this.#clock.nowMs() - startedMs, error);
      if (error.retryable || batch.length === 1) {
        for (const pending of batch) pending.done(error);
        return;
      }
      // One message the database cannot take must not fail its neighbours: halve until it is alone.
      const half = batch.length >> 1;
      await this.#append(batch.slice(0, half));
      await this.#append(batch.slice(half));
    }
  }

  /**
   * Refuses new messages, finishes those that wait, and resolves when the last transaction ended or after `graceMs`;
   * what still waits then is answered BUSY.
   */
  async close(graceMs = 5000): Promise<void> {
    this.#closed = true;
    if (this.#queue.length > 0 || this.#inFlight > 0) await this.#drained(graceMs);
    for (let next = this.#queue.shift(); next; next = this.#queue.shift()) {
      next.done(new ImError(ErrorCode.BUSY, "shutting down", { retryAfterMs: RETRY_AFTER_MS }));
    }
  }

  #drained(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(graceMs, resolve);
      this.#onDrained = () => {
        cancel();
        resolve();
      };
    });
  }
}

function missing(): ImError {
  return new ImError(ErrorCode.INTERNAL, "append returned too few results");
}
