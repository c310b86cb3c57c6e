// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "../clock.ts";
import { TokenBucket } from "../token-bucket.ts";

/** Options of {@link TraceSampler}. */
export interface SamplerOptions {
  /** Share of the messages that are traced, 0 to 1. */
  ratio: number;
  /** Never more than so many a second, however many messages there are. */
  perSecond: number;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
}

/** Decides for one message after the other whether it is traced. Allocates nothing. */
export class TraceSampler {
  /** Messages that are traced, and those that were to be and were too many. */
  readonly counts = { sampled: 0, limited: 0 };
  readonly #ratio: number;
  readonly #random: () => number;
  readonly #bucket: TokenBucket;

  constructor({ ratio, perSecond, clock, random }: SamplerOptions) {
    this.#ratio = ratio;
    this.#random = random;
    this.#bucket = new TokenBucket(perSecond, Math.max(1, perSecond), clock);
  }

  isSampled(): boolean {
    // At 1 every number is below it.
    if (this.#random() >= this.#ratio) return false;
    const isTaken = this.#bucket.take();
    this.counts[isTaken ? "sampled" : "limited"]++;
    return isTaken;
  }
}
