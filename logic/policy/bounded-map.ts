// SPDX-License-Identifier: Apache-2.0

/**
 * A map of at most so many entries. What was used longest ago makes room: entries live in two generations, those used lately in the
 * younger one; when that holds half of what may be, the older one is dropped. No order has to be kept.
 */
export class BoundedMap<V> {
  readonly #half: number;
  #younger = new Map<string, V>();
  #older = new Map<string, V>();

  /** @param max at least 2 */
  constructor(max: number) {
    this.#half = Math.max(1, Math.floor(max / 2));
  }

  /** Entries in memory; one that was moved counts twice until its older form is dropped. */
  get size(): number {
    return this.#younger.size + this.#older.size;
  }

  /** Counts as use. */
  get(key: string): V | undefined {
    const value = this.#younger.get(key);
    if (value !== undefined) return value;
    const older = this.#older.get(key);
    if (older !== undefined) this.set(key, older);
    return older;
  }

  set(key: string, value: V): void {
    if (this.#younger.size >= this.#half && !this.#younger.has(key)) {
      this.#older = this.#younger;
      this.#younger = new Map();
    }
    this.#younger.set(key, value);
  }

  delete(key: string): void {
    this.#younger.delete(key);
    this.#older.delete(key);
  }
}
