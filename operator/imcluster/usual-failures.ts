// SPDX-License-Identifier: Apache-2.0
import { isActive, type ObservedEntry } from "./observed.ts";

interface Reading {
  /** When the entry was asked, monotonic ms. */
  atMs: number;
  failed: number;
  perSecond: number | undefined;
}

/** Clients that were asked to move, and were refused, still try again for about this long. */
const SETTLE_MS = 30_000;
/** A mean over about this long. */
const MEMORY_MS = 120_000;
/** Readings further apart say nothing about each other. */
const MAX_GAP_MS = 60_000;

/** How many logins per second are refused while nobody is asked to move. Known some seconds after the operator began. */
export class UsualFailures {
  #readings = new Map<string, Reading>();
  #movedMs = Number.NEGATIVE_INFINITY;
  #perSecond = 0;

  /** At all entries together; 0 before anything is known. */
  get perSecond(): number {
    return this.#perSecond;
  }

  /** Clients are being moved: what was learned before stays. */
  moving(nowMs: number): void {
    this.#movedMs = nowMs;
  }

  /** Looks at the counters of entries that serve. An answer that was seen before adds nothing. */
  rest(entries: readonly ObservedEntry[], nowMs: number): void {
    const before = this.#readings;
    this.#readings = new Map();
    if (nowMs - this.#movedMs < SETTLE_MS) return;
    for (const entry of entries) {
      if (!isActive(entry) || entry.probe?.loginsFailed === undefined) continue;
      const now = { atMs: entry.probe.atMs, failed: entry.probe.loginsFailed };
      this.#readings.set(entry.uid, next(before.get(entry.uid), now));
    }
    const known = [...this.#readings.values()].flatMap(({ perSecond }) => perSecond ?? []);
    if (known.length > 0) this.#perSecond = known.reduce((sum, one) => sum + one, 0);
  }
}

function next(before: Reading | undefined, now: Omit<Reading, "perSecond">): Reading {
  const gapMs = now.atMs - (before?.atMs ?? now.atMs);
  if (!before || gapMs > MAX_GAP_MS || now.failed < before.failed) return { ...now, perSecond: undefined };
  if (gapMs <= 0) return before;
  const latest = ((now.failed - before.failed) / gapMs) * 1000;
  const { perSecond = latest } = before;
  return { ...now, perSecond: perSecond + (latest - perSecond) * (1 - Math.exp(-gapMs / MEMORY_MS)) };
}
