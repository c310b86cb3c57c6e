// SPDX-License-Identifier: Apache-2.0

/** Entries that do not leave are asked this often. */
const EVERY_MS = 5_000;
/** Of an operator with many entries: as seldom as that there are so many questions a second. */
const PER_SECOND = 33;
/** What an entry said counts as news for people until it has not answered so often. */
const NEWS_PROBES = 3;

/** How often entries are asked how they are while nobody moves: seldom enough that a thousand of them keep nobody busy. */
export class ProbePace {
  /** Entries of each cluster, by its UID. */
  readonly #sizes = new Map<string, number>();
  #entries = 0;

  /** So many entries does this cluster have now; 0: it is gone. */
  resize(uid: string, entries: number): void {
    this.#entries += entries - (this.#sizes.get(uid) ?? 0);
    if (entries > 0) this.#sizes.set(uid, entries);
    else this.#sizes.delete(uid);
  }

  get everyMs(): number {
    return Math.max(EVERY_MS, (this.#entries / PER_SECOND) * 1000);
  }

  get newsMs(): number {
    return NEWS_PROBES * this.everyMs;
  }
}
