// SPDX-License-Identifier: Apache-2.0

/** By so much two clocks may drift apart and be followed: ten times what a bad quartz does, twice what NTP slews. */
const MAX_DRIFT = 0.001;

/**
 * For how long messages of one sender were held up on their way, without a common clock: what one takes longer than the
 * fastest before it. The first one counts as not held up.
 */
export class DelayMeter {
  /** Least difference between the two clocks so far: how far they are apart, and the shortest way. */
  #apartMs = Number.POSITIVE_INFINITY;
  #atMs = 0;

  /** @param sentMs by the sender's monotonic clock @param nowMs by ours */
  delayMs(sentMs: number, nowMs: number): number {
    const apartMs = nowMs - sentMs;
    const drifted = this.#apartMs + (nowMs - this.#atMs) * MAX_DRIFT;
    this.#apartMs = Math.min(drifted, apartMs);
    this.#atMs = nowMs;
    return apartMs - this.#apartMs;
  }
}
