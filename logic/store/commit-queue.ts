// SPDX-License-Identifier: Apache-2.0
import { BoundedQueue } from "#lib/bounded-queue.ts";
import type { ImError } from "#lib/errors.ts";
import type { AppendInput, AppendResult } from "./store.ts";

/** Runs once per accepted message; must not throw. `epoch`: the inbox epoch that a result is of, "" when nobody asked for one. */
export type AppendDone = (result: AppendResult | ImError, epoch: string) => void;

/** A message that waits for its transaction. */
export interface Pending {
  input: AppendInput;
  done: AppendDone;
  sinceMs: number;
}

/** Bounds of one batch. */
export interface BatchLimits {
  maxBatch: number;
  maxBatchBytes: number;
  /** What waits since before this is too late for a batch. */
  oldestMs: number;
}

/**
 * Messages in the order they came. A batch never holds a message of a conversation that another running batch holds:
 * such messages step aside, and come first when that batch ends. So several transactions at a time keep the order of
 * every conversation.
 */
export class CommitQueue {
  readonly #queue: BoundedQueue<Pending>;
  readonly #maxItems: number;
  readonly #maxBytes: number;
  /** Came back from {@link #aside}: before everything in the queue. */
  #first: Pending[] = [];
  /** Per conversation in a running batch: its messages that came up meanwhile. */
  readonly #aside = new Map<string, Pending[] | undefined>();
  #asideCount = 0;
  #bytes = 0;

  constructor(limits: { maxItems: number; maxBytes: number }) {
    this.#maxItems = limits.maxItems;
    this.#maxBytes = limits.maxBytes;
    this.#queue = new BoundedQueue({ maxItems: limits.maxItems });
  }

  /** Everything that waits. */
  get length(): number {
    return this.#ready + this.#asideCount;
  }

  /** Those that the next batches may hold. */
  get #ready(): number {
    return this.#queue.length + this.#first.length;
  }

  /** The one that is next; undefined when nothing can go now. */
  get next(): Pending | undefined {
    return this.#first[0] ?? this.#queue.peek();
  }

  /** False, and nothing changed, when a limit would be exceeded. */
  push(pending: Pending): boolean {
    const bytes = pending.input.content.length;
    if (this.length >= this.#maxItems || this.#bytes + bytes > this.#maxBytes) return false;
    this.#bytes += bytes;
    return this.#queue.push(pending);
  }

  /**
   * The next batch, at least one message if any can go; its conversations are taken until {@link release}.
   * @param late gets those that waited too long
   */
  take({ maxBatch, maxBatchBytes, oldestMs }: BatchLimits, late: Pending[]): Pending[] {
    const batch: Pending[] = [];
    let bytes = 0;
    for (let next = this.next; next && batch.length < maxBatch; next = this.next) {
      const { conversationId, content } = next.input;
      if (next.sinceMs < oldestMs) {
        late.push(next);
        this.#bytes -= content.length;
      } else if (this.#aside.has(conversationId)) {
        this.#setAside(conversationId, next);
      } else {
        if (batch.length > 0 && bytes + content.length > maxBatchBytes) break;
        bytes += content.length;
        batch.push(next);
      }
      this.#shift();
    }
    for (const { input } of batch) this.#aside.set(input.conversationId, undefined);
    this.#bytes -= bytes;
    return batch;
  }

  /** The batch's transaction ended. */
  release(batch: readonly Pending[]): void {
    const back: Pending[] = [];
    for (const { input } of batch) {
      const aside = this.#aside.get(input.conversationId);
      if (aside) back.push(...aside);
      this.#aside.delete(input.conversationId);
    }
    if (back.length === 0) return;
    this.#asideCount -= back.length;
    this.#first = [...back, ...this.#first];
  }

  /** Takes out everything that can go, whatever the limits. */
  drain(): Pending[] {
    const rest = [...this.#first];
    this.#first = [];
    for (let next = this.#queue.shift(); next; next = this.#queue.shift()) rest.push(next);
    for (const [conversationId, aside] of this.#aside) {
      if (aside) rest.push(...aside);
      this.#aside.set(conversationId, undefined);
    }
    this.#asideCount = 0;
    this.#bytes = 0;
    return rest;
  }

  #shift(): void {
    if (this.#first.length > 0) this.#first.shift();
    else this.#queue.shift();
  }

  #setAside(conversationId: string, pending: Pending): void {
    const aside = this.#aside.get(conversationId);
    if (aside) aside.push(pending);
    else this.#aside.set(conversationId, [pending]);
    this.#asideCount++;
  }
}
