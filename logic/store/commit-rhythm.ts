// SPDX-License-Identifier: Apache-2.0

/** Messages that share what a transaction costs by itself, which is as much as ten of them: from here on it pays little. */
const COMPANY = 16;
/** Messages per ms from which company is worth waiting for: at a lower rate it would only be a delay. */
const WORTHWHILE_PER_MS = 2;
/** So many are worth a second transaction at the same time. */
const SECOND_BATCH = 64;
/** What a transaction takes at least, ms, and what PostgreSQL needs for each of its messages on a busy machine. */
const COMMIT_MS = 2;
const MESSAGE_MS = 0.05;

/**
 * Decides how long a batch waits for company: until there is enough of it, but no longer than its coming should take.
 * A second transaction at the same time makes both dearer, because they wait for each other's inboxes and look at their
 * rows again: it starts when many wait, or when the first one takes longer than its messages explain. Then the disk is
 * slow, or somebody holds a lock, and it must not delay all.
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
    if (this.#maxLingerMs === 0) return 0;
    if (busyWriters > 0) return waiting >= SECOND_BATCH ? 0 : COMMIT_MS + this.#lastCount * MESSAGE_MS;
    if (waiting >= COMPANY) return 0;
    // What came since the last batch began tells how fast they come.
    const perMs = Math.max(waiting, this.#lastCount) / Math.max(1, nowMs - this.#lastMs);
    return perMs < WORTHWHILE_PER_MS ? 0 : Math.min(this.#maxLingerMs, COMPANY / perMs);
  }
}
