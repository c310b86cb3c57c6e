// SPDX-License-Identifier: Apache-2.0
import { type Echo, type HeartbeatItem, Heartbeats } from "./heartbeats.ts";

const FIRST_CAPACITY = 1024;

/**
 * A linked list in the order of deadlines. A heartbeat takes its connection out and puts it in again from the tail, in one
 * step as long as all intervals are equal, and past every later deadline otherwise. A tick reads from the head and stops at
 * the first that is not due. The links lie in typed arrays, 16 bytes for each place; `place` is the index there.
 */
export class DeadlineList extends Heartbeats {
  /** Place 0 is the ring's anchor: after it comes the head, before it the tail. */
  #next = new Uint32Array(FIRST_CAPACITY);
  #prev = new Uint32Array(FIRST_CAPACITY);
  #due = new Float64Array(FIRST_CAPACITY);
  readonly #items: (HeartbeatItem | undefined)[] = [undefined];
  /** First place that is free, linked by `next`; 0 = none. */
  #free = 0;

  schedule(item: HeartbeatItem): void {
    const due = item.dueTick();
    if (item.place !== 0) {
      if ((this.#due[item.place] ?? 0) <= due) return;
      this.#unlink(item.place);
    } else {
      if (due === Number.POSITIVE_INFINITY) return;
      item.place = this.#take(item);
    }
    this.#link(item.place, Math.max(due, this.nowTick + 1));
  }

  touch(item: HeartbeatItem, _echo: Echo): void {
    const due = item.dueTick();
    if (item.place === 0 || due === Number.POSITIVE_INFINITY || this.#due[item.place] === due) return;
    this.#unlink(item.place);
    this.#link(item.place, Math.max(due, this.nowTick + 1));
  }

  protected expire(nowTick: number): void {
    for (let at = this.#next[0] ?? 0; at !== 0 && (this.#due[at] ?? 0) <= nowTick; at = this.#next[0] ?? 0) {
      const item = this.#items[at];
      if (item === undefined) return;
      this.#unlink(at);
      this.#release(item);
      if (item.dueTick() <= nowTick) item.onDue(nowTick);
      this.schedule(item);
    }
  }

  #link(at: number, due: number): void {
    let before = this.#prev[0] ?? 0;
    while (before !== 0 && (this.#due[before] ?? 0) > due) before = this.#prev[before] ?? 0;
    const after = this.#next[before] ?? 0;
    this.#due[at] = due;
    this.#prev[at] = before;
    this.#next[at] = after;
    this.#next[before] = at;
    this.#prev[after] = at;
  }

  #unlink(at: number): void {
    const before = this.#prev[at] ?? 0;
    const after = this.#next[at] ?? 0;
    this.#next[before] = after;
    this.#prev[after] = before;
  }

  #take(item: HeartbeatItem): number {
    const at = this.#free || this.#items.length;
    if (at === this.#free) this.#free = this.#next[at] ?? 0;
    else if (at >= this.#next.length) this.#grow();
    this.#items[at] = item;
    return at;
  }

  #release(item: HeartbeatItem): void {
    this.#items[item.place] = undefined;
    this.#next[item.place] = this.#free;
    this.#free = item.place;
    item.place = 0;
  }

  #grow(): void {
    const [next, prev, due] = [this.#next, this.#prev, this.#due];
    this.#next = new Uint32Array(next.length * 2);
    this.#prev = new Uint32Array(next.length * 2);
    this.#due = new Float64Array(next.length * 2);
    this.#next.set(next);
    this.#prev.set(prev);
    this.#due.set(due);
  }
}
