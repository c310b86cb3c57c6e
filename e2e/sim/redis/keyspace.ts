// SPDX-License-Identifier: Apache-2.0
import { LuaError } from "./lua-library.ts";
import { Stream } from "./stream.ts";

/** A value of the keyspace. */
export type Value = string | Map<string, string> | Set<string> | SortedSet | Stream;

/** Members by score; equal scores are ordered by member. */
export class SortedSet {
  readonly scores = new Map<string, number>();

  /** Ascending. */
  sorted(): [member: string, score: number][] {
    return [...this.scores].sort(([a, x], [b, y]) => x - y || (a < b ? -1 : 1));
  }
}

interface Slot {
  value: Value;
  /** Infinity: never. */
  expiresAtMs: number;
}

/** Keys, their values and when they expire. */
export class Keyspace {
  readonly #slots = new Map<string, Slot>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get(key: string): Value | undefined {
    return this.#slot(key)?.value;
  }

  set(key: string, value: Value, expiresAtMs = Number.POSITIVE_INFINITY): void {
    this.#slots.set(key, { value, expiresAtMs });
  }

  delete(key: string): boolean {
    return this.#slot(key) !== undefined && this.#slots.delete(key);
  }

  /** False when there is no such key. */
  expire(key: string, expiresAtMs: number): boolean {
    const slot = this.#slot(key);
    if (slot) slot.expiresAtMs = expiresAtMs;
    return slot !== undefined;
  }

  /** Ms until it expires; -1 never, -2 no such key. */
  ttlMs(key: string): number {
    const slot = this.#slot(key);
    if (!slot) return -2;
    return slot.expiresAtMs === Number.POSITIVE_INFINITY ? -1 : slot.expiresAtMs - this.#nowMs();
  }

  keys(): string[] {
    return [...this.#slots.keys()].filter((key) => this.#slot(key));
  }

  clear(): void {
    this.#slots.clear();
  }

  hash(key: string): Map<string, string> | undefined {
    return this.#typed(key, (value) => value instanceof Map);
  }

  setOf(key: string): Set<string> | undefined {
    return this.#typed(key, (value) => value instanceof Set);
  }

  sortedSet(key: string): SortedSet | undefined {
    return this.#typed(key, (value) => value instanceof SortedSet);
  }

  stream(key: string): Stream | undefined {
    return this.#typed(key, (value) => value instanceof Stream);
  }

  string(key: string): string | undefined {
    return this.#typed(key, (value) => typeof value === "string");
  }

  /** The value at `key`, made when there is none. */
  make<V extends Value>(known: V | undefined, key: string, value: V): V {
    if (known !== undefined) return known;
    this.set(key, value);
    return value;
  }

  /** Containers without members do not exist. */
  dropEmpty(key: string, size: number): void {
    if (size === 0) this.#slots.delete(key);
  }

  #typed<V extends Value>(key: string, is: (value: Value) => boolean): V | undefined {
    const value = this.get(key);
    if (value === undefined || is(value)) return value as V | undefined;
    throw new LuaError("WRONGTYPE Operation against a key holding the wrong kind of value");
  }

  #slot(key: string): Slot | undefined {
    const slot = this.#slots.get(key);
    if (slot && slot.expiresAtMs !== Number.POSITIVE_INFINITY && slot.expiresAtMs <= this.#nowMs()) {
      this.#slots.delete(key);
      return undefined;
    }
    return slot;
  }
}
