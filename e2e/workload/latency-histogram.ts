// SPDX-License-Identifier: Apache-2.0

/** Buckets per doubling: a reported percentile is at most 2^(1/16), 4.4 %, above the true one. */
const BUCKETS_PER_OCTAVE = 16;
const SMALLEST_MS = 0.001;
const OCTAVES = 36;
const BUCKETS = OCTAVES * BUCKETS_PER_OCTAVE;

/** Durations in logarithmic buckets: constant memory and cost, 1 µs to 19 hours. */
export class LatencyHistogram {
  readonly #buckets = new Uint32Array(BUCKETS);
  #count = 0;
  #maxMs = 0;

  get count(): number {
    return this.#count;
  }

  get maxMs(): number {
    return this.#maxMs;
  }

  add(ms: number): void {
    const bucket = Math.floor(Math.log2(Math.max(ms, SMALLEST_MS) / SMALLEST_MS) * BUCKETS_PER_OCTAVE);
    const index = Math.min(bucket, BUCKETS - 1);
    this.#buckets[index] = (this.#buckets[index] ?? 0) + 1;
    this.#count++;
    if (ms > this.#maxMs) this.#maxMs = ms;
  }

  /** Upper edge in ms of the bucket that holds the `quantile` (0 to 1), at most the highest value; 0 when empty. */
  quantileMs(quantile: number): number {
    let left = Math.ceil(this.#count * quantile);
    for (let i = 0; i < BUCKETS; i++) {
      left -= this.#buckets[i] ?? 0;
      if (left <= 0 && this.#count > 0) {
        const edgeMs = SMALLEST_MS * 2 ** ((i + 1) / BUCKETS_PER_OCTAVE);
        return roundMs(Math.min(edgeMs, this.#maxMs));
      }
    }
    return 0;
  }
}

/** Two digits below a millisecond are enough, and readable. */
export function roundMs(ms: number): number {
  return Math.round(ms * 100) / 100;
}
