// SPDX-License-Identifier: Apache-2.0
import { overdueMs, type Pace, paceAfter } from "./pace.ts";

const MAX_KEYS = 65_536;
/** What sums of fractions may be off by. */
const ROUNDING_MS = 1e-6;

/** One bucket per key, in a bounded table: the key that was used least recently is forgotten first. */
export class KeyedPaces {
  readonly #pace: Pace;
  readonly #maxKeys: number;
  readonly #paidMs = new Map<string, number>();

  constructor(pace: Pace, maxKeys = MAX_KEYS) {
    this.#pace = pace;
    this.#maxKeys = maxKeys;
  }

  get size(): number {
    return this.#paidMs.size;
  }

  /** Takes one; or takes none and returns after how many ms to come again. 0: taken. */
  take(key: string, nowMs: number): number {
    const waitMs = this.waitMs(key, nowMs);
    if (waitMs === 0) this.count(key, nowMs);
    return waitMs;
  }

  /** Ms until `count` more are allowed, 0 = now. */
  waitMs(key: string, nowMs: number, count = 1): number {
    const after = paceAfter(this.#pace, this.#paidMs.get(key) ?? 0, count, nowMs);
    return Math.max(0, Math.ceil(overdueMs(this.#pace, after, nowMs) - ROUNDING_MS));
  }

  /** Counts one, allowed or not. */
  count(key: string, nowMs: number): void {
    const after = paceAfter(this.#pace, this.#paidMs.get(key) ?? 0, 1, nowMs);
    this.#paidMs.delete(key);
    this.#paidMs.set(key, after);
    if (this.#paidMs.size <= this.#maxKeys) return;
    const oldest = this.#paidMs.keys().next();
    if (!oldest.done) this.#paidMs.delete(oldest.value);
  }
}
