// SPDX-License-Identifier: Apache-2.0
import { TICK_MS } from "./heartbeat/heartbeats.ts";
import type { Hub } from "./hub.ts";
import type { Outbox } from "./outbox.ts";
import { ReadLimit } from "./read-limit.ts";
import type { Session } from "./session.ts";

/** What it needs of {@link Hub}. */
export type PaceHub = Pick<Hub, "clock" | "heartbeats" | "limits" | "stats">;

/** Holds back the reading of one session that sends too much. */
export class SessionPace {
  readonly #hub: PaceHub;
  readonly #session: Session;
  readonly #limit: ReadLimit;
  readonly #outbox: Outbox;
  #cancel: (() => void) | undefined;
  #isClosed = false;

  constructor(hub: PaceHub, session: Session, outbox: Outbox) {
    this.#hub = hub;
    this.#session = session;
    this.#limit = new ReadLimit(hub.limits.reads);
    this.#outbox = outbox;
  }

  /**
   * Counts what was read; returns the tick by which it must be heard of: it cannot be while it is held back, and has its
   * time after that. 0: it is not held back.
   */
  took(frames: number, bytes: number): number {
    if (this.#isClosed) return 0;
    const { clock, heartbeats, stats } = this.#hub;
    const pauseMs = this.#limit.took(frames, bytes, clock.nowMs());
    if (pauseMs === 0) return 0;
    stats.readsPaused++;
    this.#outbox.holdReading(true);
    this.#cancel?.();
    this.#cancel = clock.after(pauseMs, () => this.#outbox.holdReading(false));
    return heartbeats.nowTick + Math.ceil(pauseMs / TICK_MS) + this.#session.pingTicks;
  }

  /** Releases the timer; nothing is held back any more. */
  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }
}
