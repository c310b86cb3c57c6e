// SPDX-License-Identifier: Apache-2.0
import { nearestRank } from "#lib/nearest-rank.ts";

/** The latest durations, and how long the slowest one in a hundred of them took. Later ones take the place of the oldest. */
export class LatestDurations {
  readonly #durations: Float32Array;
  #noted = 0;

  /** @param max durations kept */
  constructor(max: number) {
    this.#durations = new Float32Array(max);
  }

  /** How many are kept. */
  get count(): number {
    return Math.min(this.#durations.length, this.#noted);
  }

  /** Ms, rounded; 0 while there is none. */
  get p99(): number {
    return Math.round(nearestRank(this.#durations.slice(0, this.count).sort(), 0.99));
  }

  note(durationMs: number): void {
    this.#durations[this.#noted++ % this.#durations.length] = durationMs;
  }

  clear(): void {
    this.#noted = 0;
  }
}
