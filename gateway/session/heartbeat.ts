// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";

/** Something with a deadline. All ticks are counted by the wheel; see {@link HeartbeatWheel.nowTick}. */
export interface WheelItem {
  /** Slot it waits in; owned by the wheel. 0 = in none. */
  wheelTick: number;
  /** When it is due now; Infinity drops it from the wheel. May move later at will, without telling the wheel. */
  dueTick(): number;
  /** It is due. Afterwards dueTick() must lie in the future or be Infinity. */
  onDue(nowTick: number): void;
}

export const TICK_MS = 1000;
const SLOTS = 512;

/**
 * Hashed timing wheel of one-second ticks. A client's frame only writes a number into its connection; the wheel
 * looks at a connection when the deadline it knew is reached, and then moves it on. O(1) per connection and deadline.
 *
 * Ticks count turns of a live event loop, not the wall clock: a process that was stopped for a minute must read what
 * its clients sent meanwhile before it calls them dead.
 */
export class HeartbeatWheel {
  readonly #clock: Clock;
  readonly #slots: WheelItem[][] = Array.from({ length: SLOTS }, () => []);
  #nowTick = 1;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Ticks since the wheel was made, from 1. */
  get nowTick(): number {
    return this.#nowTick;
  }

  /** Tick by which `ms` have passed for sure: rounded up, plus the running tick. */
  tickAfter(ms: number): number {
    return this.#nowTick + Math.ceil(ms / TICK_MS) + 1;
  }

  start(): void {
    const turn = () => {
      this.#cancel = this.#clock.after(TICK_MS, turn);
      this.tick();
    };
    this.#cancel = this.#clock.after(TICK_MS, turn);
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Puts `item` where its deadline is. Call once at first, and again only when its deadline moved earlier. */
  schedule(item: WheelItem): void {
    const due = item.dueTick();
    if (due === Number.POSITIVE_INFINITY) return;
    const at = Math.max(due, this.#nowTick + 1);
    if (item.wheelTick !== 0 && item.wheelTick <= at) return;
    item.wheelTick = at;
    // An entry in a later slot, if there is one, is stale now and skipped there.
    this.#slotAt(at).push(item);
  }

  /** One step: fires what is due. Public for tests. */
  tick(): void {
    this.#nowTick++;
    const index = this.#nowTick % SLOTS;
    const items = this.#slots[index] ?? [];
    if (items.length === 0) return;
    this.#slots[index] = [];
    for (const item of items) this.#visit(item);
  }

  #visit(item: WheelItem): void {
    if (item.wheelTick !== this.#nowTick) {
      // Of a later round of the wheel; or stale, when it was scheduled again for an earlier slot.
      if (item.wheelTick > this.#nowTick && item.wheelTick % SLOTS === this.#nowTick % SLOTS) {
        this.#slotAt(item.wheelTick).push(item);
      }
      return;
    }
    item.wheelTick = 0;
    if (item.dueTick() <= this.#nowTick) item.onDue(this.#nowTick);
    this.schedule(item);
  }

  #slotAt(tick: number): WheelItem[] {
    return this.#slots[tick % SLOTS] as WheelItem[];
  }
}
