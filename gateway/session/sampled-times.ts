// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";

/** One of so many is timed. */
const EVERY = 8;
/** What has no end by then is forgotten when another one needs the place, and is no duration any more. */
const FORGET_MS = 60_000;

type Now = Pick<Clock, "nowMs">;

/** How long something takes, by a sample: of each connection one at a time. The clock is asked only for those that are timed. */
export class SampledTimes {
  readonly #maxOpen: number;
  readonly #open = new Map<number, { key: number; atMs: number }>();
  #seen = 0;
  #listener: ((durationMs: number) => void) | undefined;

  /** @param maxOpen timed at the same time */
  constructor(maxOpen: number) {
    this.#maxOpen = maxOpen;
  }

  /** Who hears of every duration. */
  listen(listener: (durationMs: number) => void): void {
    this.#listener = listener;
  }

  begin(conn: number, key: number, clock: Now): void {
    if (this.#seen++ % EVERY !== 0) return;
    const atMs = clock.nowMs();
    if (this.#open.size >= this.#maxOpen) this.#forget(atMs);
    if (this.#open.size < this.#maxOpen) this.#open.set(conn, { key, atMs });
  }

  /** Ms since the begin; undefined when that was not timed. */
  end(conn: number, key: number, clock: Now): number | undefined {
    if (this.#open.size === 0) return undefined;
    const open = this.#open.get(conn);
    if (open?.key !== key) return undefined;
    this.#open.delete(conn);
    const durationMs = clock.nowMs() - open.atMs;
    if (durationMs > FORGET_MS) return undefined;
    this.#listener?.(durationMs);
    return durationMs;
  }

  #forget(nowMs: number): void {
    for (const [conn, { atMs }] of this.#open) if (nowMs - atMs > FORGET_MS) this.#open.delete(conn);
  }
}
