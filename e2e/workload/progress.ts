// SPDX-License-Identifier: Apache-2.0

/** Counts up to a total and tells when a share of it is done. */
export class Progress {
  readonly total: number;
  #done = 0;
  #waiters: { at: number; resolve: () => void }[] = [];

  constructor(total: number) {
    this.total = total;
  }

  get done(): number {
    return this.#done;
  }

  advance(): void {
    this.#done++;
    const due = this.#waiters.filter((waiter) => waiter.at <= this.#done);
    if (due.length === 0) return;
    this.#waiters = this.#waiters.filter((waiter) => waiter.at > this.#done);
    for (const { resolve } of due) resolve();
  }

  /** Resolves when `share` (0 to 1) of the total is done. */
  reached(share: number): Promise<void> {
    const at = Math.min(this.total, Math.ceil(this.total * share));
    if (at <= this.#done) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ at, resolve }));
  }
}
