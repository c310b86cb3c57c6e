// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";

/** Something with a deadline, in ticks; see {@link Heartbeats.nowTick}. */
export interface HeartbeatItem {
  /** Where the algorithm keeps it; a number that belongs to the algorithm. 0 = nowhere. */
  place: number;
  /** When it is due now; Infinity drops it. */
  dueTick(): number;
  /** It is due. Afterwards dueTick() must lie in the future or be Infinity. */
  onDue(nowTick: number): void;
}

export const TICK_MS = 1000;

/** What a client showed of the deadline it was told; empty = nothing. Never trusted without its signature. */
export type Echo = Uint8Array;

/**
 * Who has been silent for too long. Four algorithms do it, and evict the same connections in the same tick; they differ in
 * what a heartbeat and what a tick costs (`make bench BENCH=heartbeat`).
 *
 * Ticks count turns of a live event loop, not the wall clock: a process that was stopped for a minute must read what
 * its clients sent meanwhile before it calls them dead.
 */
export abstract class Heartbeats {
  readonly #clock: Clock;
  #nowTick = 1;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Puts `item` where its deadline is. Call once at first, and again whenever its deadline moved earlier. */
  abstract schedule(item: HeartbeatItem): void;

  /** A sign of life moved the deadline of `item` later. May be left out: then it costs a visit at the old deadline. */
  abstract touch(item: HeartbeatItem, echo: Echo): void;

  /** What to tell the client of the deadline of `item`, to be echoed in its next heartbeat; undefined = nothing. */
  leaseOf(_item: HeartbeatItem): Uint8Array | undefined {
    return undefined;
  }

  /** Fires what is due at `nowTick`. */
  protected abstract expire(nowTick: number): void;

  /** Ticks since it was made, from 1. */
  get nowTick(): number {
    return this.#nowTick;
  }

  /** Tick by which `ms` have passed for sure: rounded up, plus the running tick. */
  tickAfter(ms: number): number {
    return this.#nowTick + Math.ceil(ms / TICK_MS) + 1;
  }

  start(): void {
    const turn = (): void => {
      this.#cancel = this.#clock.after(TICK_MS, turn);
      this.tick();
    };
    this.#cancel = this.#clock.after(TICK_MS, turn);
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** One step. Public for tests and benchmarks. */
  tick(): void {
    this.#nowTick++;
    this.expire(this.#nowTick);
  }
}

/** Nothing was echoed. */
export const NO_ECHO: Echo = new Uint8Array(0);
