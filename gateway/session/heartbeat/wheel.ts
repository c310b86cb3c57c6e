// SPDX-License-Identifier: Apache-2.0
import { type HeartbeatItem, Heartbeats } from "./heartbeats.ts";

const SLOTS = 512;

/**
 * Hashed timing wheel of one-second ticks, the default. A heartbeat costs nothing here: it only writes a number into its
 * connection. The wheel looks at a connection when the deadline it knew is reached, and then moves it on: O(1) per
 * connection and deadline. `place` is the tick under which it waits.
 */
export class HashedWheel extends Heartbeats {
  readonly #slots: HeartbeatItem[][] = Array.from({ length: SLOTS }, () => []);

  schedule(item: HeartbeatItem): void {
    const due = item.dueTick();
    if (due === Number.POSITIVE_INFINITY) return;
    const at = Math.max(due, this.nowTick + 1);
    if (item.place !== 0 && item.place <= at) return;
    item.place = at;
    // An entry in a later slot, if there is one, is stale now and skipped there.
    this.#slotAt(at).push(item);
  }

  touch(): void {
    // Found when the old deadline is reached.
  }

  protected expire(nowTick: number): void {
    const index = nowTick % SLOTS;
    const items = this.#slots[index] ?? [];
    if (items.length === 0) return;
    this.#slots[index] = [];
    for (const item of items) this.#visit(item, nowTick);
  }

  #visit(item: HeartbeatItem, nowTick: number): void {
    if (item.place !== nowTick) {
      // Of a later round of the wheel; or stale, when it was scheduled again for an earlier slot.
      if (item.place > nowTick && item.place % SLOTS === nowTick % SLOTS) this.#slotAt(item.place).push(item);
      return;
    }
    item.place = 0;
    if (item.dueTick() <= nowTick) item.onDue(nowTick);
    this.schedule(item);
  }

  #slotAt(tick: number): HeartbeatItem[] {
    return this.#slots[tick % SLOTS] as HeartbeatItem[];
  }
}
