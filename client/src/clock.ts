// SPDX-License-Identifier: Apache-2.0

/** Time as a dependency, so that tests need not wait. */
export interface Clock {
  /** Wall clock, ms since 1970. */
  wallMs(): number;
  /** Monotonic ms. */
  nowMs(): number;
  /** Runs `fn` once after `delayMs`; returns its canceller. */
  after(delayMs: number, fn: () => void): () => void;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  nowMs: () => performance.now(),
  after(delayMs, fn) {
    const timer = setTimeout(fn, delayMs);
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
