// SPDX-License-Identifier: Apache-2.0
import { retryMs } from "./backoff.ts";
import { Timer } from "./clock.ts";
import type { Settings } from "./options.ts";

/** What {@link Puller} asks of its owner. */
export interface PullerOwner {
  /** Writes a SYNC from the cursor and returns its request id; undefined when there is nobody to ask or no need. */
  sync(): number | undefined;
  /** Is something missing that only a pull can bring? */
  needsPull(): boolean;
}

/** When to ask for pages: one SYNC at a time, repeated with backoff while something is missing. */
export class Puller {
  readonly #owner: PullerOwner;
  readonly #settings: Settings;
  readonly #timer: Timer;
  #rid = 0;
  #failures = 0;

  constructor(owner: PullerOwner, settings: Settings) {
    this.#owner = owner;
    this.#settings = settings;
    this.#timer = new Timer(settings.clock);
  }

  /** Pulls now, unless a pull is under way. */
  now(): void {
    if (this.#rid !== 0) return;
    this.#timer.clear();
    const rid = this.#owner.sync();
    if (rid === undefined) return;
    this.#rid = rid;
    this.#timer.set(this.#settings.timing.syncTimeoutMs, () => this.#fail(0));
  }

  /** Pulls after the gap wait, if something is still missing then. */
  soon(): void {
    if (this.#rid === 0 && !this.#timer.isSet) this.#later(this.#settings.timing.gapWaitMs);
  }

  /** Is `rid` the request that is being waited for? */
  expects(rid: number): boolean {
    return rid !== 0 && rid === this.#rid;
  }

  /** The awaited page was taken in; `hasProgress` when it moved the cursor or was the last. */
  answered(hasProgress: boolean): void {
    if (!hasProgress) {
      this.#fail(0);
      return;
    }
    this.reset();
  }

  /** The awaited request was refused, or may be lost. */
  refused(retryAfterMs: number): void {
    if (this.#rid !== 0) this.#fail(retryAfterMs);
  }

  /** The connection is gone, and with it whatever was asked. */
  reset(): void {
    this.#rid = 0;
    this.#failures = 0;
    this.#timer.clear();
  }

  #fail(retryAfterMs: number): void {
    this.#rid = 0;
    this.#later(retryAfterMs + retryMs(this.#failures++, this.#settings.random));
  }

  #later(delayMs: number): void {
    this.#timer.set(delayMs, () => {
      if (this.#owner.needsPull()) this.now();
    });
  }
}
