// SPDX-License-Identifier: Apache-2.0
import { type HeartbeatItem, Heartbeats } from "./heartbeats.ts";

/**
 * Looks at every connection in every tick: the simplest thing that works, and the measure of the others. A heartbeat costs
 * nothing, a tick costs as much as there are connections. `place` is the index in the list, plus one.
 */
export class FullScan extends Heartbeats {
  readonly #items: HeartbeatItem[] = [];

  schedule(item: HeartbeatItem): void {
    if (item.place !== 0 || item.dueTick() === Number.POSITIVE_INFINITY) return;
    item.place = this.#items.push(item);
  }

  touch(): void {
    // Every tick looks anyway.
  }

  protected expire(nowTick: number): void {
    // From the end: the one that takes the place of a dropped one was looked at already.
    for (let at = this.#items.length - 1; at >= 0; at--) {
      const item = this.#items[at];
      if (item === undefined) continue;
      if (item.dueTick() <= nowTick) item.onDue(nowTick);
      if (item.dueTick() === Number.POSITIVE_INFINITY) this.#drop(item);
    }
  }

  #drop(item: HeartbeatItem): void {
    const last = this.#items.pop();
    if (last !== undefined && last !== item) {
      this.#items[item.place - 1] = last;
      last.place = item.place;
    }
    item.place = 0;
  }
}
