// SPDX-License-Identifier: Apache-2.0

/** Time as a dependency, so that tests need not wait. */
export interface Clock {
  /** Wall clock, ms since 1970. */
  wallMs(): number;
  /** Monotonic ms. */
  nowMs(): number;
  /** Runs `fn` once after `delayMs`, or 24 days if that is sooner; returns its canceller. */
  after(delayMs: number, fn: () => void): () => void;
}

/** Timers hold no more, and take what is larger for 1 ms. */
const MAX_TIMER_MS = 0x7fff_ffff;

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  nowMs: () => performance.now(),
  after(delayMs, fn) {
    const timer = setTimeout(fn, Math.min(delayMs, MAX_TIMER_MS));
    return () => clearTimeout(timer);
  },
};

/** At most one pending timer; setting it again replaces the old one. */
export class Timer {
  readonly #clock: Clock;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isSet(): boolean {
    return this.#cancel !== undefined;
  }

  set(delayMs: number, fn: () => void): void {
    this.clear();
    this.#cancel = this.#clock.after(delayMs, () => {
      this.#cancel = undefined;
      fn();
    });
  }

  clear(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
