// SPDX-License-Identifier: Apache-2.0
import { BoundedMap } from "./bounded-map.ts";

/**
 * So many events at once per key and one more whenever `seconds / max` have passed: one number per key, however long the window is
 * (generic cell rate). What is forgotten for lack of room begins anew.
 */
export class Pace {
  readonly #intervalMs: number;
  readonly #burstMs: number;
  /** When the key's events would all have come, at the even pace. */
  readonly #dueMs: BoundedMap<number>;

  constructor(max: number, seconds: number, maxKeys: number) {
    this.#burstMs = seconds * 1000;
    this.#intervalMs = this.#burstMs / max;
    this.#dueMs = new BoundedMap(maxKeys);
  }

  /** How long until one more is allowed, ms; 0 = now. Changes nothing. */
  waitMs(key: string, nowMs: number): number {
    const dueMs = Math.max(nowMs, this.#dueMs.get(key) ?? 0);
    const waitMs = dueMs + this.#intervalMs - this.#burstMs - nowMs;
    // Thirds of a second do not add up exactly.
    return waitMs < 0.5 ? 0 : Math.ceil(waitMs);
  }

  note(key: string, nowMs: number): void {
    this.#dueMs.set(key, Math.max(nowMs, this.#dueMs.get(key) ?? 0) + this.#intervalMs);
  }

  get size(): number {
    return this.#dueMs.size;
  }
}
