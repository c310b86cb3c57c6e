// SPDX-License-Identifier: Apache-2.0

/** Limits of a {@link BoundedQueue}; both hold at every moment. */
export interface QueueLimits {
  maxItems: number;
  /** Sum of the sizes given to push. Default: no byte limit. */
  maxBytes?: number;
}

const INITIAL_SLOTS = 8;

/** FIFO ring bounded by count and bytes. All operations O(1) amortised; memory follows use, not the limit. */
export class BoundedQueue<T> {
  readonly #maxItems: number;
  readonly #maxBytes: number;
  #items: (T | undefined)[] = new Array(INITIAL_SLOTS);
  #sizes: number[] = new Array(INITIAL_SLOTS).fill(0);
  #head = 0;
  #length = 0;
  #bytes = 0;

  constructor(limits: QueueLimits) {
    this.#maxItems = limits.maxItems;
    this.#maxBytes = limits.maxBytes ?? Number.POSITIVE_INFINITY;
  }

  get length(): number {
    return this.#length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Appends; false, and nothing changed, when either limit would be exceeded. */
  push(item: T, bytes = 0): boolean {
    if (this.#length >= this.#maxItems || this.#bytes + bytes > this.#maxBytes) return false;
    if (this.#length === this.#items.length) this.#grow();
    const slot = (this.#head + this.#length) % this.#items.length;
    this.#items[slot] = item;
    this.#sizes[slot] = bytes;
    this.#length++;
    this.#bytes += bytes;
    return true;
  }

  /** Oldest item, left in place. */
  peek(): T | undefined {
    return this.#length === 0 ? undefined : this.#items[this.#head];
  }

  /** Removes and returns the oldest item. */
  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#items[this.#head];
    this.#bytes -= this.#sizes[this.#head] ?? 0;
    this.#items[this.#head] = undefined;
    this.#head = (this.#head + 1) % this.#items.length;
    this.#length--;
    return item;
  }

  /** Drops everything and releases the ring. */
  clear(): void {
    this.#items = new Array(INITIAL_SLOTS);
    this.#sizes = new Array(INITIAL_SLOTS).fill(0);
    this.#head = 0;
    this.#length = 0;
    this.#bytes = 0;
  }

  #grow(): void {
    const slots = this.#items.length;
    const items: (T | undefined)[] = new Array(slots * 2);
    const sizes: number[] = new Array(slots * 2).fill(0);
    for (let i = 0; i < this.#length; i++) {
      const from = (this.#head + i) % slots;
      items[i] = this.#items[from];
      sizes[i] = this.#sizes[from] ?? 0;
    }
    this.#items = items;
    this.#sizes = sizes;
    this.#head = 0;
  }
}
