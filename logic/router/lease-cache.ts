// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";

/** An incarnation nobody asked about for this long is forgotten. */
const UNUSED_MS = 60_000;

interface Known {
  isLive: boolean;
  checkedAtMs: number;
  usedAtMs: number;
}

/** Which incarnations hold a lease, as of at most `maxAgeMs` ago. As large as the fleet. */
export class LeaseCache {
  readonly #clock: Clock;
  readonly #maxAgeMs: number;
  readonly #known = new Map<string, Known>();

  constructor(clock: Clock, maxAgeMs: number) {
    this.#clock = clock;
    this.#maxAgeMs = maxAgeMs;
  }

  /** Incarnations in use whose answer is too old: ask again together with the next lookup. */
  stale(): string[] {
    const nowMs = this.#clock.nowMs();
    const stale: string[] = [];
    for (const [incarnation, known] of this.#known) {
      if (nowMs - known.usedAtMs > UNUSED_MS) this.#known.delete(incarnation);
      else if (nowMs - known.checkedAtMs >= this.#maxAgeMs) stale.push(incarnation);
    }
    return stale;
  }

  has(incarnation: string): boolean {
    return this.#known.has(incarnation);
  }

  isLive(incarnation: string): boolean {
    const known = this.#known.get(incarnation);
    if (!known) return false;
    known.usedAtMs = this.#clock.nowMs();
    return known.isLive;
  }

  set(incarnation: string, isLive: boolean): void {
    const nowMs = this.#clock.nowMs();
    const usedAtMs = this.#known.get(incarnation)?.usedAtMs ?? nowMs;
    this.#known.set(incarnation, { isLive, checkedAtMs: nowMs, usedAtMs });
  }
}
