// SPDX-License-Identifier: Apache-2.0
import { Timer } from "./clock.ts";
import type { Settings } from "./options.ts";
import type { StoredCursor } from "./store.ts";

/** What {@link Acknowledger} asks of its owner. */
export interface AcknowledgerOwner {
  /** How far the application has the inbox now. */
  position(): StoredCursor;
  /** Tells the server; false when there is no connection. */
  acknowledge(inboxSeq: number): boolean;
  onStoreError(error: unknown): void;
}

/** Applied events that are acknowledged at once. */
const BATCH = 64;
/** A store that failed is tried again after this many delays. */
const STORE_RETRY_FACTOR = 5;

/** Saves the cursor, then acknowledges it: cumulative, at most one per `delayMs` or `batch` events. */
export class Acknowledger {
  readonly #owner: AcknowledgerOwner;
  readonly #settings: Settings;
  readonly #timer: Timer;
  #saved: StoredCursor | undefined;
  #saving: Promise<void> | undefined;
  #acknowledged = 0;
  #unflushed = 0;
  #isClosed = false;

  constructor(owner: AcknowledgerOwner, settings: Settings) {
    this.#owner = owner;
    this.#settings = settings;
    this.#timer = new Timer(settings.clock);
  }

  /** Nothing was acknowledged on the new connection yet. */
  connected(): void {
    this.#isClosed = false;
    this.#acknowledged = 0;
    this.applied();
  }

  /** The position moved by `count` events. */
  applied(count = 1): void {
    this.#unflushed += count;
    if (this.#unflushed >= BATCH || this.#isClosed) this.flush();
    else this.#flushLater(this.#settings.timing.ackDelayMs);
  }

  /** Saves and acknowledges now if anything is new; call it just before another write to share the packet. */
  flush(): void {
    if (this.#unflushed === 0 || this.#saving) return;
    this.#unflushed = 0;
    this.#timer.clear();
    const position = this.#owner.position();
    if (isSame(position, this.#saved)) {
      this.#acknowledge(position);
      return;
    }
    try {
      const pending = this.#settings.store.save(position);
      if (pending === undefined) this.#onSaved(position);
      else this.#saving = this.#settle(pending, position);
    } catch (error) {
      this.#onFailed(error);
    }
  }

  /** Last flush; resolves when the store is done. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer.clear();
    await this.#saving;
    this.flush();
    await this.#saving;
  }

  #flushLater(delayMs: number): void {
    if (!this.#timer.isSet && !this.#isClosed) this.#timer.set(delayMs, () => this.flush());
  }

  async #settle(pending: Promise<void>, position: StoredCursor): Promise<void> {
    try {
      await pending;
      this.#saving = undefined;
      this.#onSaved(position);
    } catch (error) {
      this.#saving = undefined;
      this.#onFailed(error);
    }
  }

  #onSaved(position: StoredCursor): void {
    this.#saved = position;
    this.#acknowledge(position);
    // What was applied while the store was busy.
    if (this.#unflushed > 0) this.#flushLater(this.#settings.timing.ackDelayMs);
  }

  #onFailed(error: unknown): void {
    this.#owner.onStoreError(error);
    // Not acknowledged: tried again with the next applied event or the next timer.
    this.#unflushed++;
    this.#flushLater(this.#settings.timing.ackDelayMs * STORE_RETRY_FACTOR);
  }

  #acknowledge(position: StoredCursor): void {
    if (position.cursor <= this.#acknowledged || position.epoch !== this.#owner.position().epoch) return;
    if (this.#owner.acknowledge(position.cursor)) this.#acknowledged = position.cursor;
  }
}

function isSame(a: StoredCursor, b: StoredCursor | undefined): boolean {
  return b !== undefined && a.cursor === b.cursor && a.epoch === b.epoch && a.userId === b.userId;
}
