// SPDX-License-Identifier: Apache-2.0
import { type Clock, Timer } from "./clock.ts";
import type { OutboxChange, PendingMessage, Store } from "./store.ts";

export interface JournalOptions {
  clock: Clock;
  store: Store;
  /** Called for each attempt that failed; it is tried again. */
  onError: (error: unknown) => void;
}

const RETRY_MS = 1000;

/**
 * The messages that wait, and their copy in the store. Written behind the sends: one change at a time, and a message that
 * is acknowledged before its turn is never written at all.
 */
export class Journal {
  readonly #options: JournalOptions;
  readonly #retry: Timer;
  readonly #waiting = new Map<string, PendingMessage>();
  /** Ids that the store has, or may have. */
  readonly #stored = new Set<string>();
  #add = new Set<string>();
  #remove = new Set<string>();
  #writing: Promise<void> | undefined;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#retry = new Timer(options.clock);
  }

  /** Does the store keep messages over restarts? */
  get isDurable(): boolean {
    return this.#options.store.saveOutbox !== undefined;
  }

  /** What waits, oldest first. */
  get pending(): PendingMessage[] {
    return [...this.#waiting.values()];
  }

  has(id: string): boolean {
    return this.#waiting.has(id);
  }

  /** Reads what an earlier run left. What was given since stays behind it. @throws what the store throws */
  async restore(): Promise<void> {
    const found = (await this.#options.store.loadOutbox?.()) ?? [];
    const since = this.pending;
    this.#waiting.clear();
    for (const message of found) {
      this.#stored.add(message.id);
      this.#waiting.set(message.id, message);
    }
    for (const message of since) {
      // The same id again is the same message: it keeps its place.
      if (this.#waiting.has(message.id)) this.#add.delete(message.id);
      else this.#waiting.set(message.id, message);
    }
  }

  /** A message waits from now on. */
  add(message: PendingMessage): void {
    if (this.#waiting.has(message.id)) return;
    this.#waiting.set(message.id, message);
    if (!this.isDurable) return;
    this.#add.add(message.id);
    // Given up and sent again: what the store has of it is replaced, not removed.
    this.#remove.delete(message.id);
    void this.#write();
  }

  /** It does not any more. */
  remove(id: string): void {
    if (!this.#waiting.delete(id)) return;
    this.#add.delete(id);
    if (!this.#stored.has(id)) return;
    this.#remove.add(id);
    void this.#write();
  }

  /** Forgets what the store does not keep. */
  clear(): void {
    if (!this.isDurable) this.#waiting.clear();
  }

  /** Resolves when the store has everything so far, or has failed at it. */
  async flush(): Promise<void> {
    while (this.#writing) await this.#writing;
    if (!this.#retry.isSet) return;
    this.#retry.clear();
    await this.#write();
  }

  /** {@link flush}, and no attempt after it. */
  async close(): Promise<void> {
    await this.flush();
    this.#retry.clear();
  }

  /** Resolves when the change that it begins is written, or has failed. Never rejects. */
  #write(): Promise<void> {
    if (this.#writing || this.#retry.isSet || this.#add.size + this.#remove.size === 0) return Promise.resolve();
    this.#writing = this.#writeAll().finally(() => {
      this.#writing = undefined;
      void this.#write();
    });
    return this.#writing;
  }

  async #writeAll(): Promise<void> {
    // What is given in the same turn goes together.
    await Promise.resolve();
    const [add, remove] = [this.#add, this.#remove];
    [this.#add, this.#remove] = [new Set(), new Set()];
    const change: OutboxChange = { add: this.pending.filter(({ id }) => add.has(id)), remove: [...remove] };
    if (change.add.length + change.remove.length === 0) return;
    for (const { id } of change.add) this.#stored.add(id);
    try {
      await this.#options.store.saveOutbox?.(change);
      for (const id of remove) this.#stored.delete(id);
    } catch (error) {
      // Tried again with whatever has changed meanwhile; removing what is not there does no harm.
      for (const { id } of change.add) if (this.#waiting.has(id)) this.#add.add(id);
      for (const id of remove) if (!this.#waiting.has(id)) this.#remove.add(id);
      this.#retry.set(RETRY_MS, () => void this.#write());
      this.#options.onError(error);
    }
  }
}
