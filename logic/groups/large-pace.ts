// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { BoundedMap } from "../policy/bounded-map.ts";
import { type BeforeSend, PASS, type Passage } from "../send/before-send.ts";
import type { AppendInput } from "../store/store.ts";

/** Messages a second into one large group by one logic, and how many may come at once. */
const PER_SECOND = 20;
const BURST = 40;
const MAX_GROUPS = 1000;

interface Bucket {
  tokens: number;
  atMs: number;
}

/**
 * Bounds what is said in a large group, as each message is shown to thousands: more is bounced with the time when the next one passes.
 * Groups are known to be large by their messages.
 */
export class LargePace implements BeforeSend {
  readonly name = "large-group";
  readonly budgetMs = 0;
  readonly late: Passage = PASS;
  readonly #clock: Clock;
  readonly #buckets = new BoundedMap<Bucket>(MAX_GROUPS);

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A message of this group is shown to many. */
  sawLarge(conversationId: string): void {
    if (!this.#buckets.get(conversationId))
      this.#buckets.set(conversationId, { tokens: BURST, atMs: this.#clock.nowMs() });
  }

  judge({ peer, conversationId }: AppendInput): Passage {
    const bucket = peer === "" ? this.#buckets.get(conversationId) : undefined;
    if (!bucket) return PASS;
    const nowMs = this.#clock.nowMs();
    bucket.tokens = Math.min(BURST, bucket.tokens + ((nowMs - bucket.atMs) * PER_SECOND) / 1000);
    bucket.atMs = nowMs;
    if (bucket.tokens >= 1) {
      bucket.tokens--;
      return PASS;
    }
    const retryAfterMs = Math.ceil(((1 - bucket.tokens) * 1000) / PER_SECOND);
    return {
      verdict: "bounce",
      by: this.name,
      explanation: "too much is said in this group: send it again later",
      retryAfterMs,
    };
  }
}
