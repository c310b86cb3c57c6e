// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { TokenBucket } from "#lib/token-bucket.ts";
import type { Session } from "./session.ts";

/** A bucket for each session that has asked: gone with the session. */
export class SessionPace {
  readonly #buckets = new WeakMap<Session, TokenBucket>();
  readonly #make: () => TokenBucket;

  constructor({ perSecond, burst, clock }: { perSecond: number; burst: number; clock: Clock }) {
    this.#make = () => new TokenBucket(perSecond, burst, clock);
  }

  /** 0: go on; else how long to wait, ms. */
  take(session: Session): number {
    const bucket = this.#buckets.get(session) ?? this.#make();
    this.#buckets.set(session, bucket);
    // Between the two looks at the clock a token may have come: it was refused all the same.
    return bucket.take() ? 0 : Math.max(1, bucket.retryAfterMs());
  }
}
