// SPDX-License-Identifier: Apache-2.0
import { BoundedQueue } from "#lib/bounded-queue.ts";

/** Tenants with a lane of their own; the rest of those that have something waiting shares one. */
const MAX_LANES = 256;
const SHARED = "\0";
/** A lane may hold so many times what is still free: however full one lane is, a ninth is left for the others. */
const FREE_SHARES = 8;
/** Tenants come between each other as long as this after it was last seen. */
const CONTENTION_MS = 1000;

/** May a tenant with so many items waiting go now? */
export type MayGo = (tenant: string, waiting: number) => boolean;

interface Lane<T> {
  readonly tenant: string;
  /** Put back: before everything in the queue. */
  first: T[];
  readonly queue: BoundedQueue<T>;
}

/**
 * What waits, a lane for each tenant. Lanes take turns, so whoever asks for ten times as much waits for itself; within a lane order is
 * that of coming. With one tenant it is a queue.
 */
export class FairLanes<T> {
  readonly #maxItems: number;
  readonly #lanes = new Map<string, Lane<T>>();
  /** Lanes with something in them, the next one first. */
  #turns: Lane<T>[] = [];
  #length = 0;
  #lastTenant = "";
  #contendedMs = Number.NEGATIVE_INFINITY;

  constructor(maxItems: number) {
    this.#maxItems = maxItems;
  }

  get length(): number {
    return this.#length;
  }

  /** More than one tenant came lately. */
  isContended(nowMs: number): boolean {
    return nowMs - this.#contendedMs < CONTENTION_MS;
  }

  /**
   * Appends; false, and nothing changed, when all is full, or when others come and this tenant holds its share.
   * @param elsewhere what else counts as waiting
   */
  push(tenant: string, item: T, nowMs: number, elsewhere = 0): boolean {
    if (tenant !== this.#lastTenant) {
      // The very first one comes between nobody.
      if (this.#lastTenant !== "" || this.#length > 0) this.#contendedMs = nowMs;
      this.#lastTenant = tenant;
    }
    const waiting = this.#length + elsewhere;
    if (waiting >= this.#maxItems) return false;
    const lane = this.#laneOf(tenant);
    const own = lengthOf(lane);
    if (this.isContended(nowMs) && own >= FREE_SHARES * (this.#maxItems - waiting)) return false;
    lane.queue.push(item);
    this.#length++;
    if (own === 0) this.#turns.push(lane);
    return true;
  }

  /** Puts items back in front of what their tenant has waiting. */
  putBack(tenant: string, items: readonly T[]): void {
    if (items.length === 0) return;
    const lane = this.#laneOf(tenant);
    if (lengthOf(lane) === 0) this.#turns.unshift(lane);
    lane.first = [...items, ...lane.first];
    this.#length += items.length;
  }

  /** The oldest item of the tenant whose turn it is; undefined when no lane that may go has any. */
  next(mayGo?: MayGo): T | undefined {
    const lane = this.#nextLane(mayGo);
    return lane && headOf(lane);
  }

  /** Whose turn it is: what {@link next} gives is of this lane. */
  nextTenant(mayGo?: MayGo): string | undefined {
    return this.#nextLane(mayGo)?.tenant;
  }

  /** How many a lane holds. */
  waitingOf(tenant: string): number {
    const lane = this.#lanes.get(tenant);
    return lane ? lengthOf(lane) : 0;
  }

  /** Takes out what {@link next} gives. */
  shift(mayGo?: MayGo): T | undefined {
    const lane = this.#nextLane(mayGo);
    if (!lane) return undefined;
    const item = lane.first.length > 0 ? lane.first.shift() : lane.queue.shift();
    this.#length--;
    const isEmpty = lengthOf(lane) === 0;
    if (this.#turns.length > 1 || isEmpty) {
      this.#turns.splice(this.#turns.indexOf(lane), 1);
      if (!isEmpty) this.#turns.push(lane);
    }
    if (isEmpty && this.#lanes.size > 1) this.#lanes.delete(lane.tenant);
    return item;
  }

  #nextLane(mayGo: MayGo | undefined): Lane<T> | undefined {
    return mayGo ? this.#turns.find((lane) => mayGo(lane.tenant, lengthOf(lane))) : this.#turns[0];
  }

  #laneOf(tenant: string): Lane<T> {
    const known = this.#lanes.get(tenant);
    if (known) return known;
    const name = this.#lanes.size < MAX_LANES ? tenant : SHARED;
    const lane = this.#lanes.get(name) ?? {
      tenant: name,
      first: [],
      queue: new BoundedQueue<T>({ maxItems: this.#maxItems }),
    };
    this.#lanes.set(name, lane);
    return lane;
  }
}

function lengthOf<T>({ first, queue }: Lane<T>): number {
  return first.length + queue.length;
}

function headOf<T>({ first, queue }: Lane<T>): T | undefined {
  return first[0] ?? queue.peek();
}
