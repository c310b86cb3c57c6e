// SPDX-License-Identifier: Apache-2.0

/** Options of {@link Backoff}. */
export interface BackoffOptions {
  /** Upper bound of the first delay, ms. */
  baseMs: number;
  /** Upper bound of every delay, ms. */
  capMs: number;
  /** Uniform in [0, 1); Math.random by default. */
  random?: () => number;
}

/** Exponential backoff with full jitter: each delay is uniform in [0, min(cap, base * 2^attempt)). */
export class Backoff {
  readonly #baseMs: number;
  readonly #capMs: number;
  readonly #random: () => number;
  #attempt = 0;

  constructor(options: BackoffOptions) {
    this.#baseMs = options.baseMs;
    this.#capMs = options.capMs;
    this.#random = options.random ?? Math.random;
  }

  /** Delay before the next attempt, ms. */
  next(): number {
    // 2^30 is beyond any cap; the bound keeps the product finite.
    const ceilingMs = Math.min(this.#capMs, this.#baseMs * 2 ** Math.min(this.#attempt, 30));
    this.#attempt++;
    return this.#random() * ceilingMs;
  }

  /** Call after a success that lasted. */
  reset(): void {
    this.#attempt = 0;
  }
}
