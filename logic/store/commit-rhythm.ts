// SPDX-License-Identifier: Apache-2.0

/** A batch of this size is cheap enough per message: what a transaction costs by itself is shared by many. */
const FULL_BATCH = 64;
/** Messages that must be expected within the wait, or it is not worth it. */
const WORTHWHILE = 2;
/** A second transaction at the same time waits for as much, or for so long, ms: a slow disk must not delay all. */
const SECOND_WRITER_MS = 2;

/**
 * Decides how long a batch waits for company. A transaction costs the database as much as ten messages in it, so at a few
 * thousand messages per second 1 ms of patience halves the cost; at a few hundred it would only be a delay, and when
 * many wait already it is not needed.
 */
export class CommitRhythm {
  readonly #maxLingerMs: number;
  #lastMs = Number.NEGATIVE_INFINITY;
  #lastCount = 0;

  constructor(maxLingerMs: number) {
    this.#maxLingerMs = maxLingerMs;
  }

  /** A batch of `count` messages starts. */
  took(count: number, nowMs: number): void {
    this.#lastMs = nowMs;
    this.#lastCount = count;
  }

  /** How long the oldest of `waiting` messages should have waited before a batch starts. */
  lingerMs(waiting: number, busyWriters: number, nowMs: number): number {
    if (this.#maxLingerMs === 0 || waiting >= FULL_BATCH) return 0;
    if (busyWriters > 0) return SECOND_WRITER_MS;
    // What came since the last batch began tells how fast they come.
    const perMs = Math.max(waiting, this.#lastCount) / Math.max(1, nowMs - this.#lastMs);
    return perMs * this.#maxLingerMs >= WORTHWHILE ? this.#maxLingerMs : 0;
  }
}
