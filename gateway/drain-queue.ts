// SPDX-License-Identifier: Apache-2.0

/** What the order of a drain depends on. */
export interface Order<T> {
  /** It has something under way: a request without an answer, or a message that it has not acknowledged. */
  isBusy(one: T): boolean;
  /** When it was last heard; any unit. */
  heardAt(one: T): number;
  /** It can be asked; it may have left meanwhile, or not be in yet. Default: all can. */
  isHere?(one: T): boolean;
}

/** Who is asked to move next: those that were silent longest first, those in the middle of something last. */
export class DrainQueue<T> {
  readonly #order: Order<T>;
  #idle: T[] = [];
  #at = 0;
  #busy: T[] = [];

  constructor(order: Order<T>) {
    this.#order = order;
  }

  /** Replaces what is in it. */
  fill(all: readonly T[]): void {
    this.#idle = [...all].sort((a, b) => this.#order.heardAt(a) - this.#order.heardAt(b));
    this.#at = 0;
    this.#busy = [];
  }

  add(one: T): void {
    this.#idle.push(one);
  }

  /**
   * Takes up to `count`. One that was busy at its turn comes when all others have been taken; one that cannot be asked is in
   * nobody's place.
   */
  take(count: number): T[] {
    const { isBusy, isHere = () => true } = this.#order;
    const taken: T[] = [];
    for (; taken.length < count && this.#at < this.#idle.length; this.#at++) {
      const one = this.#idle[this.#at];
      if (one && isHere(one)) (isBusy(one) ? this.#busy : taken).push(one);
    }
    if (this.#at === this.#idle.length) {
      this.#idle = [];
      this.#at = 0;
    }
    if (taken.length >= count || this.#busy.length === 0) return taken;
    const here = this.#busy.filter(isHere);
    const waiting = [...here.filter((one) => !isBusy(one)), ...here.filter(isBusy)];
    taken.push(...waiting.splice(0, count - taken.length));
    this.#busy = waiting;
    return taken;
  }
}
