// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";

const MAX_KEPT = 10_000;

/** Users and classes that the store refuses for a while: the answer costs no SQL until then. At most 10,000. */
export class FlapShield {
  readonly #clock: Clock;
  readonly #untilMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How long the login is refused yet; 0 = ask the store. */
  retryAfterMs(userId: string, slot: string): number {
    const key = keyOf(userId, slot);
    const untilMs = this.#untilMs.get(key);
    if (untilMs === undefined) return 0;
    const leftMs = untilMs - this.#clock.nowMs();
    if (leftMs <= 0) this.#untilMs.delete(key);
    return Math.max(0, leftMs);
  }

  refused(userId: string, slot: string, retryAfterMs: number): void {
    const oldest = this.#untilMs.keys().next();
    if (this.#untilMs.size >= MAX_KEPT && !oldest.done) this.#untilMs.delete(oldest.value);
    this.#untilMs.set(keyOf(userId, slot), this.#clock.nowMs() + retryAfterMs);
  }
}

const keyOf = (userId: string, slot: string): string => `${userId}\0${slot}`;
