// SPDX-License-Identifier: Apache-2.0

/** Percentiles of the last samples, ms. */
export class Latency {
  readonly #limit: number;
  readonly #samples: number[] = [];

  constructor(limit = 500) {
    this.#limit = limit;
  }

  add(ms: number): void {
    this.#samples.push(ms);
    if (this.#samples.length > this.#limit) this.#samples.shift();
  }

  get count(): number {
    return this.#samples.length;
  }

  /** Nearest rank; undefined without samples. `share` in (0, 1]. */
  percentile(share: number): number | undefined {
    const sorted = this.#samples.toSorted((a, b) => a - b);
    return sorted[Math.ceil(share * sorted.length) - 1];
  }
}
