// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { TICK_MS } from "./heartbeat/heartbeats.ts";
import type { Outbox } from "./outbox.ts";
import { ReadLimit, type ReadPaces } from "./read-limit.ts";
import type { EntryStats } from "./stats.ts";

/** Holds back the reading of one session that sends too much. */
export class SessionPace {
  readonly #limit: ReadLimit;
  readonly #outbox: Outbox;
  readonly #clock: Clock;
  #cancel: (() => void) | undefined;
  #isClosed = false;

  constructor(paces: ReadPaces, outbox: Outbox, clock: Clock) {
    this.#limit = new ReadLimit(paces);
    this.#outbox = outbox;
    this.#clock = clock;
  }

  /** Counts what was read; returns by how many ticks its deadline moves, because it cannot be heard meanwhile. */
  took(frames: number, bytes: number, stats: EntryStats): number {
    if (this.#isClosed) return 0;
    const pauseMs = this.#limit.took(frames, bytes, this.#clock.nowMs());
    if (pauseMs === 0) return 0;
    stats.readsPaused++;
    this.#outbox.holdReading(true);
    this.#cancel?.();
    this.#cancel = this.#clock.after(pauseMs, () => this.#outbox.holdReading(false));
    return Math.ceil(pauseMs / TICK_MS) + 1;
  }

  /** Releases the timer; nothing is held back any more. */
  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }
}
