// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { LatestDurations } from "./latest-durations.ts";

/** One of so many messages is timed. */
const EVERY = 8;
/** Timed at the same time; answers that never come are forgotten when another one needs the place. */
const MAX_OPEN = 64;
const FORGET_MS = 60_000;
const MAX_KEPT = 512;
/** Fewer say nothing about the slowest one in a hundred. */
const MIN_KEPT = 100;

/** How long clients wait for logic's answer to a message, by a sample of them. */
export class AnswerMeter {
  readonly #open = new Map<number, { rid: number; atMs: number }>();
  readonly #durations = new LatestDurations(MAX_KEPT);
  #seen = 0;

  /** A message went to logic. The clock is asked only when it is timed. */
  sent(conn: number, rid: number, clock: Pick<Clock, "nowMs">): void {
    if (rid === 0 || this.#seen++ % EVERY !== 0) return;
    const atMs = clock.nowMs();
    if (this.#open.size >= MAX_OPEN) this.#forget(atMs);
    if (this.#open.size < MAX_OPEN) this.#open.set(conn, { rid, atMs });
  }

  /** Logic answered a request. */
  answered(conn: number, rid: number, clock: Pick<Clock, "nowMs">): void {
    if (this.#open.size === 0) return;
    const open = this.#open.get(conn);
    if (open?.rid !== rid) return;
    this.#open.delete(conn);
    this.#durations.note(clock.nowMs() - open.atMs);
  }

  /** Ms, of the latest 512 that were timed; 0 while there are fewer than 100. */
  get p99(): number {
    const { count, p99 } = this.#durations;
    return count < MIN_KEPT ? 0 : Math.max(1, p99);
  }

  #forget(nowMs: number): void {
    for (const [conn, { atMs }] of this.#open) if (nowMs - atMs > FORGET_MS) this.#open.delete(conn);
  }
}
