// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";

const TICK_MS = 5;

/** Things to do later, thousands of them, with one timer. */
export class DueList<T> {
  readonly #clock: Clock;
  readonly #run: (item: T) => void;
  readonly #ticks = new Map<number, T[]>();
  /** Everything up to here was run. */
  #doneTick = 0;
  #size = 0;
  #isTicking = false;

  constructor(clock: Clock, run: (item: T) => void) {
    this.#clock = clock;
    this.#run = run;
  }

  /** Runs `item` in `delayMs`, or up to 10 ms later. */
  add(item: T, delayMs: number): void {
    const nowTick = this.#tickNow();
    if (this.#size === 0) this.#doneTick = nowTick;
    const tick = Math.max(this.#doneTick, nowTick + Math.ceil(delayMs / TICK_MS)) + 1;
    const items = this.#ticks.get(tick);
    if (items) items.push(item);
    else this.#ticks.set(tick, [item]);
    this.#size++;
    this.#tickOn();
  }

  #tickNow(): number {
    return Math.floor(this.#clock.nowMs() / TICK_MS);
  }

  #tickOn(): void {
    if (this.#isTicking || this.#size === 0) return;
    this.#isTicking = true;
    this.#clock.after(TICK_MS, () => {
      this.#isTicking = false;
      this.#runDue();
      this.#tickOn();
    });
  }

  #runDue(): void {
    const nowTick = this.#tickNow();
    while (this.#doneTick < nowTick && this.#size > 0) {
      const items = this.#ticks.get(++this.#doneTick);
      if (!items) continue;
      this.#ticks.delete(this.#doneTick);
      this.#size -= items.length;
      for (const item of items) this.#run(item);
    }
  }
}
