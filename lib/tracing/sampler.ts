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

/**
 * Decides for one message after the other whether it is traced. Instead of a number by chance for each message there is one for the gap
 * to the next that is chosen, which comes to the same: a message that is not costs a decrement, and allocates nothing.
 */
export class TraceSampler {
  /** Messages that are traced, and those that were to be and were too many. */
  readonly counts = { sampled: 0, limited: 0 };
  readonly #ratio: number;
  readonly #random: () => number;
  readonly #bucket: TokenBucket;
  /** Messages up to the next that is chosen, with it. */
  #left: number;

  constructor({ ratio, perSecond, clock, random }: SamplerOptions) {
    this.#ratio = ratio;
    this.#random = random;
    this.#bucket = new TokenBucket(perSecond, Math.max(1, perSecond), clock);
    this.#left = this.#gap();
  }

  isSampled(): boolean {
    if (--this.#left > 0) return false;
    this.#left = this.#gap();
    return this.mayContinue();
  }

  /** Is there room this second for a message whose trace somebody else has begun? The ratio was theirs to keep. */
  mayContinue(): boolean {
    const isTaken = this.#bucket.take();
    this.counts[isTaken ? "sampled" : "limited"]++;
    return isTaken;
  }

  /** Geometric: 1 with the probability `ratio`, one more with what is left of it, and so on. */
  #gap(): number {
    if (this.#ratio >= 1) return 1;
    if (this.#ratio <= 0) return Number.POSITIVE_INFINITY;
    return 1 + Math.floor(Math.log1p(-this.#random()) / Math.log1p(-this.#ratio));
  }
}
