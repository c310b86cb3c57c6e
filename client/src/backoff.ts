// SPDX-License-Identifier: Apache-2.0

/** Exponential backoff with full jitter: each delay is uniform in [0, min(cap, base * 2^attempt)). */
export class Backoff {
  readonly #baseMs: number;
  readonly #capMs: number;
  readonly #random: () => number;
  #attempt = 0;

  constructor(baseMs: number, capMs: number, random: () => number) {
    this.#baseMs = baseMs;
    this.#capMs = capMs;
    this.#random = random;
  }

  /** Failures since the last reset. */
  get attempt(): number {
    return this.#attempt;
  }

  /** Delay before the next attempt, ms. */
  next(): number {
    return jitterMs(this.#attempt++, this.#baseMs, this.#capMs, this.#random);
  }

  /** Call after a success that lasted. */
  reset(): void {
    this.#attempt = 0;
  }
}

/** Pause before a request that was refused for now, or got no answer, is made again: full jitter below 200 ms to 5 s. */
export function retryMs(failures: number, random: () => number): number {
  return jitterMs(failures, 200, 5_000, random);
}

/** Full jitter for attempt 0, 1, 2, ... */
export function jitterMs(attempt: number, baseMs: number, capMs: number, random: () => number): number {
  // 2^30 is beyond any cap; the bound keeps the product finite.
  return random() * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30));
}
