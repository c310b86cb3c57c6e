// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "./clock.ts";

/** Token bucket: `ratePerSecond` tokens flow in, at most `burst` wait. Starts full. */
export class TokenBucket {
  readonly #ratePerMs: number;
  readonly #burst: number;
  readonly #clock: Clock;
  #tokens: number;
  #atMs: number;

  constructor(ratePerSecond: number, burst: number, clock: Clock) {
    this.#ratePerMs = ratePerSecond / 1000;
    this.#burst = burst;
    this.#clock = clock;
    this.#tokens = burst;
    this.#atMs = clock.nowMs();
  }

  /** Takes `count` tokens when they are there; else takes none. */
  take(count = 1): boolean {
    this.#refill();
    if (this.#tokens < count) return false;
    this.#tokens -= count;
    return true;
  }

  /** Ms until `count` tokens are there: the advice to a caller that was refused. Infinity above the burst. */
  retryAfterMs(count = 1): number {
    this.#refill();
    if (count <= this.#tokens) return 0;
    if (count > this.#burst || this.#ratePerMs === 0) return Number.POSITIVE_INFINITY;
    return Math.ceil((count - this.#tokens) / this.#ratePerMs);
  }

  #refill(): void {
    const nowMs = this.#clock.nowMs();
    this.#tokens = Math.min(this.#burst, this.#tokens + (nowMs - this.#atMs) * this.#ratePerMs);
    this.#atMs = nowMs;
  }
}
