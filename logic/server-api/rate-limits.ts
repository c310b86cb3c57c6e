// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { TokenBucket } from "#lib/token-bucket.ts";

const MAX_KEYS = 10_000;
const BURST_SECONDS = 2;

/** How often each key may call, per process. Only good keys are counted: nobody uses up somebody else's allowance. */
export class RateLimits {
  readonly #perSecond: number;
  readonly #clock: Clock;
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(perSecond: number, clock: Clock) {
    this.#perSecond = perSecond;
    this.#clock = clock;
  }

  /** 0: go on. Else ms until the next call may come. */
  take(keyId: string): number {
    const bucket = this.#buckets.get(keyId) ?? this.#add(keyId);
    return bucket.take() ? 0 : Math.max(1, bucket.retryAfterMs());
  }

  #add(keyId: string): TokenBucket {
    const oldest = this.#buckets.keys().next();
    if (this.#buckets.size >= MAX_KEYS && !oldest.done) this.#buckets.delete(oldest.value);
    const bucket = new TokenBucket(this.#perSecond, this.#perSecond * BURST_SECONDS, this.#clock);
    this.#buckets.set(keyId, bucket);
    return bucket;
  }
}
