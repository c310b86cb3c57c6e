// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";

/**
 * A clock whose wall time is the store's. What one replica writes down (due times, ends of leases) another one reads:
 * their own wall clocks may be off by hours, or jump, and do not matter. Between two answers of the store the own
 * monotonic clock goes on; each answer corrects it.
 */
export class StoreClock implements Clock {
  readonly #own: Clock;
  /** The store's time less the own monotonic one; undefined: the store has not been asked yet. */
  #aheadMs: number | undefined;

  constructor(own: Clock) {
    this.#own = own;
  }

  get isSet(): boolean {
    return this.#aheadMs !== undefined;
  }

  /**
   * The store said its time in answer to a question of `askedMs`, monotonic. It said so some time between then and now:
   * a slow answer tells little, and moves the clock only as far as it must.
   */
  follow(storeMs: number, askedMs: number): void {
    const leastMs = storeMs - this.#own.nowMs();
    const mostMs = storeMs - askedMs;
    this.#aheadMs = Math.min(mostMs, Math.max(leastMs, this.#aheadMs ?? leastMs));
  }

  /** The store's time, at most one trip of a question and its answer behind it; the own time until the first answer. */
  wallMs(): number {
    return this.#aheadMs === undefined ? this.#own.wallMs() : Math.floor(this.#own.nowMs() + this.#aheadMs);
  }

  nowMs(): number {
    return this.#own.nowMs();
  }

  after(delayMs: number, fn: () => void): () => void {
    return this.#own.after(delayMs, fn);
  }
}
