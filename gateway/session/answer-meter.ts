// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { LatestDurations } from "./latest-durations.ts";
import { SampledTimes } from "./sampled-times.ts";

/** Timed at the same time. */
const MAX_OPEN = 64;
const MAX_KEPT = 512;
/** Fewer say nothing about the slowest one in a hundred. */
const MIN_KEPT = 100;

/** How long clients wait for logic's answer to a message, by a sample of them. */
export class AnswerMeter {
  readonly times: SampledTimes = new SampledTimes(MAX_OPEN);
  readonly #durations = new LatestDurations(MAX_KEPT);

  /** A message went to logic. */
  sent(conn: number, rid: number, clock: Pick<Clock, "nowMs">): void {
    if (rid !== 0) this.times.begin(conn, rid, clock);
  }

  /** Logic answered a request. */
  answered(conn: number, rid: number, clock: Pick<Clock, "nowMs">): void {
    const durationMs = this.times.end(conn, rid, clock);
    if (durationMs !== undefined) this.#durations.note(durationMs);
  }

  /** Ms, of the latest 512 that were timed; 0 while there are fewer than 100. */
  get p99(): number {
    const { count, p99 } = this.#durations;
    return count < MIN_KEPT ? 0 : Math.max(1, p99);
  }
}
