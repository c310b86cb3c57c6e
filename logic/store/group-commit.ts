// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { ErrorCode, ImError, toImError } from "#lib/errors.ts";
import { type AppendDone, CommitQueue, type Pending } from "./commit-queue.ts";
import { CommitRhythm } from "./commit-rhythm.ts";
import { type AppendInput, MAX_BATCH, MAX_BATCH_BYTES, type Store } from "./store.ts";

export type { AppendDone } from "./commit-queue.ts";

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
  /** Longest wait for company while messages come in numbers; 0 = never wait. Default 3 ms. */
  maxLingerMs?: number;
  /** Inbox epoch that messages are stored in, asked for each transaction. Default: whichever holds. */
  epoch?: () => string;
  /** Told about every transaction: messages in it, its duration, and its error, if any. */
  observe?: (messages: number, durationMs: number, error: ImError | undefined) => void;
}

const RETRY_AFTER_MS = 200;

/**
 * Collects messages from all connections into few transactions. An idle writer takes everything that waits: alone, a
 * message commits at once; when two or more per ms come it waits up to 3 ms for a batch of sixteen, because a transaction
 * costs as much as ten messages in it; a second writer starts only when there is enough for it, or the first takes too
 * long. No promise and no timer per message. Messages of one conversation commit in the order they were submitted.
 */
export class GroupCommit {
  readonly #store: Pick<Store, "append">;
  readonly #clock: Clock;
  readonly #limits: { maxBatch: number; maxBatchBytes: number };
  readonly #maxQueueMs: number;
  readonly #observe: GroupCommitOptions["observe"];
  readonly #epoch: () => string | undefined;
  readonly #queue: CommitQueue;
  readonly #rhythm: CommitRhythm;
  readonly #connections: number;
  #idleWriters: number;
  #inFlight = 0;
  #scheduled = false;
  #cancelLinger: (() => void) | undefined;
  #closed = false;
  #onDrained: (() => void) | undefined;

  constructor(store: Pick<Store, "append">, options: GroupCommitOptions) {
    this.#store = store;
    this.#clock = options.clock;
    this.#connections = this.#idleWriters = options.connections ?? 2;
    this.#limits = { maxBatch: options.maxBatch ?? MAX_BATCH, maxBatchBytes: options.maxBatchBytes ?? MAX_BATCH_BYTES };
    this.#maxQueueMs = options.maxQueueMs ?? 100;
    this.#observe = options.observe;
    this.#epoch = options.epoch ?? (() => undefined);
    this.#rhythm = new CommitRhythm(options.maxLingerMs ?? 3);
    this.#queue = new CommitQueue({
      maxItems: options.maxPending ?? 20_000,
      maxBytes: options.maxPendingBytes ?? 64 * 1024 * 1024,
    });
  }

  /** Messages that wait for a transaction. */
  get pending(): number {
    return this.#queue.length;
  }

  /** Messages taken and not answered yet. */
  get unanswered(): number {
    return this.#queue.length + this.#inFlight;
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
    const taken = this.#queue.push({ input, done, sinceMs: this.#clock.nowMs() });
    if (taken) this.#schedule();
    return taken;
  }

  /** Waits for the rest of this event-loop turn, so that frames read from many sockets share a transaction. */
  #schedule(): void {
    if (this.#scheduled || this.#idleWriters === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#start();
    });
  }

  /** Starts idle writers as long as it is worth it; else looks again when the oldest message has waited enough. */
  #start(): void {
    this.#cancelLinger?.();
    this.#cancelLinger = undefined;
    for (let next = this.#next(); next && this.#idleWriters > 0; next = this.#next()) {
      const nowMs = this.#clock.nowMs();
      // Tenants do not wait for each other's inboxes: another one's transaction is no reason to wait.
      const busyWriters = this.#queue.isContended(nowMs) ? 0 : this.#connections - this.#idleWriters;
      const lingerMs = this.#closed ? 0 : this.#rhythm.lingerMs(this.#queue.length, busyWriters, nowMs);
      const waitMs = next.sinceMs + lingerMs - nowMs;
      if (waitMs > 0) {
        this.#cancelLinger = this.#clock.after(waitMs, () => this.#start());
        return;
      }
      void this.#write();
    }
  }

  #next(): Pending | undefined {
    return this.#queue.next(this.#clock.nowMs());
  }

  async #write(): Promise<void> {
    this.#idleWriters--;
    const batch = this.#take();
    if (batch.length > 0) {
      this.#inFlight += batch.length;
      await this.#append(batch);
      this.#inFlight -= batch.length;
      this.#queue.release(batch);
    }
    this.#idleWriters++;
    if (this.#next()) this.#schedule();
    else if (this.#inFlight === 0) this.#onDrained?.();
  }

  /** The next batch; what waited too long is answered instead. */
  #take(): Pending[] {
    const nowMs = this.#clock.nowMs();
    const late: Pending[] = [];
    const batch = this.#queue.take({ ...this.#limits, nowMs, oldestMs: nowMs - this.#maxQueueMs }, late);
    this.#rhythm.took(batch.length, nowMs);
    for (const { done } of late)
      done(new ImError(ErrorCode.BUSY, "waited too long for a transaction", { retryAfterMs: RETRY_AFTER_MS }), "");
    return batch;
  }

  async #append(batch: readonly Pending[]): Promise<void> {
    const startedMs = this.#clock.nowMs();
    const epoch = this.#epoch();
    try {
      const results = await this.#store.append(
        batch.map((pending) => pending.input),
        epoch,
      );
      this.#observe?.(batch.length, this.#clock.nowMs() - startedMs, undefined);
      for (const [index, pending] of batch.entries()) pending.done(results[index] ?? missing(), epoch ?? "");
    } catch (thrown) {
      const error = toImError(thrown);
      this.#observe?.(batch.length, this.#clock.nowMs() - startedMs, error);
      if (error.retryable || batch.length === 1) {
        for (const pending of batch) pending.done(error, "");
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
    this.#cancelLinger?.();
    this.#cancelLinger = undefined;
    this.#schedule();
    if (this.#queue.length > 0 || this.#inFlight > 0) await this.#drained(graceMs);
    for (const { done } of this.#queue.drain())
      done(new ImError(ErrorCode.BUSY, "shutting down", { retryAfterMs: RETRY_AFTER_MS }), "");
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
