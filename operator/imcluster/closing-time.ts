// SPDX-License-Identifier: Apache-2.0
import { FORCE_DEADLINE_MS } from "./drain.ts";
import type { ObservedEntry } from "./observed.ts";

interface Closing {
  spentMs: number;
  seenMs: number;
  /** Connections to close when an entry first said how many; more of them need more time. */
  left: number;
}

/** From one pass to the next, no more than this counts: in a longer gap nobody told the entry to close anything. */
const MAX_GAP_MS = 2_000;

/**
 * For how long entries in phase Forcing were really told to close what is left. An operator that stood still, or has only begun
 * to lead, must not take the deadline that passed meanwhile for time that they had.
 */
export class ClosingTime {
  readonly #closing = new Map<string, Closing>();

  /** Once a pass. @param nowMs monotonic */
  look(entries: readonly ObservedEntry[], nowMs: number): void {
    const forcing = entries.filter(({ intent }) => intent?.phase === "Forcing");
    const isForcing = new Set(forcing.map(({ uid }) => uid));
    for (const uid of this.#closing.keys()) if (!isForcing.has(uid)) this.#closing.delete(uid);
    for (const { uid, probe } of forcing) {
      const before = this.#closing.get(uid) ?? { spentMs: 0, seenMs: nowMs, left: 0 };
      const spentMs = before.spentMs + Math.min(nowMs - before.seenMs, MAX_GAP_MS);
      this.#closing.set(uid, { spentMs, seenMs: nowMs, left: Math.max(before.left, probe?.connections ?? 0) });
    }
  }

  /** Did it have what closing takes at the highest rate, and some seconds? @param maxPerSecond of all entries together */
  hadTime(uid: string, maxPerSecond: number): boolean {
    const closing = this.#closing.get(uid);
    if (!closing) return false;
    let left = 0;
    for (const one of this.#closing.values()) left += one.left;
    return closing.spentMs >= FORCE_DEADLINE_MS + (left / maxPerSecond) * 1000;
  }
}
