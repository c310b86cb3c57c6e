// SPDX-License-Identifier: Apache-2.0

/** Deliveries that are remembered; an entry says within a second or so that it has nobody for one. */
const MAX_SEQS = 10_000;

/**
 * Inbox seqs that nobody is to be pushed to for, of the last deliveries of this process: those of changes. One that is forgotten,
 * or was delivered by another process, costs a push intent that finds nothing to push.
 */
export class SilentSeqs {
  readonly #seqs = new Set<string>();

  add(userId: string, inboxSeq: number): void {
    this.#seqs.add(keyOf(userId, inboxSeq));
    const [oldest] = this.#seqs;
    if (this.#seqs.size > MAX_SEQS && oldest !== undefined) this.#seqs.delete(oldest);
  }

  has(userId: string, inboxSeq: number): boolean {
    return this.#seqs.has(keyOf(userId, inboxSeq));
  }
}

function keyOf(userId: string, inboxSeq: number): string {
  return `${inboxSeq}:${userId}`;
}
