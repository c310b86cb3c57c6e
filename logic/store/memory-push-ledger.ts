// SPDX-License-Identifier: Apache-2.0
import { classOf } from "./identity.ts";
import {
  MUTED_WINDOW,
  type OwedPush,
  type PushLedger,
  type PushMark,
  type UnpushedCount,
  type UnpushedRequest,
} from "./push-ledger.ts";

interface Debt {
  seq: number;
  tries: number;
  freeAtMs: number;
}

/** A device, and how far it has acknowledged. */
interface AckedDevice {
  slot: string;
  ackedSeq: number;
}

/** {@link PushLedger} in maps, the reference model. Its store tells it about appends. */
export class MemoryPushLedger implements PushLedger {
  readonly #devices: (userId: string) => readonly AckedDevice[];
  readonly #headOf: (userId: string) => number;
  readonly #isMuted: (position: PushMark) => boolean;
  readonly #nowMs: () => number;
  readonly #marks = new Map<string, number>();
  readonly #owed = new Map<string, Debt>();
  #outbox: { storedAtMs: number; recipients: readonly PushMark[] }[] = [];

  constructor(
    devices: (userId: string) => readonly AckedDevice[],
    headOf: (userId: string) => number,
    isMuted: (position: PushMark) => boolean,
    nowMs: () => number,
  ) {
    this.#devices = devices;
    this.#headOf = headOf;
    this.#isMuted = isMuted;
    this.#nowMs = nowMs;
  }

  /** A message was stored for these, its sender not among them. */
  appended(recipients: readonly PushMark[]): void {
    if (recipients.length > 0) this.#outbox.push({ storedAtMs: this.#nowMs(), recipients });
  }

  async pushedSeqs(userIds: readonly string[]): Promise<Map<string, number>> {
    const seqs = new Map<string, number>();
    for (const userId of userIds) {
      const seq = this.#marks.get(userId);
      if (seq !== undefined) seqs.set(userId, seq);
    }
    return seqs;
  }

  async recordPushes(marks: readonly PushMark[]): Promise<void> {
    for (const mark of marks) {
      const { userId } = mark;
      const inboxSeq = Math.min(mark.inboxSeq, this.#headOf(userId));
      if (inboxSeq === 0) continue;
      this.#marks.set(userId, Math.max(inboxSeq, this.#marks.get(userId) ?? 0));
      const debt = this.#owed.get(userId);
      if (debt && debt.seq <= inboxSeq) this.#owed.delete(userId);
    }
  }

  async findUnpushed({ olderThanMs, limit, readByClass = "" }: UnpushedRequest): Promise<UnpushedCount> {
    const old = this.#outbox.filter(({ storedAtMs }) => storedAtMs <= this.#nowMs() - olderThanMs).slice(0, limit);
    this.#outbox = this.#outbox.filter((append) => !old.includes(append));
    const due = new Map<string, number>();
    for (const { userId, inboxSeq } of old.flatMap(({ recipients }) => recipients))
      due.set(userId, Math.max(inboxSeq, due.get(userId) ?? 0));
    let owed = 0;
    for (const [userId, last] of due) {
      const settled = Math.max(this.#marks.get(userId) ?? 0, this.#ackedSeq(userId, readByClass));
      const seq = this.#audible(userId, settled, last);
      if (seq <= Math.max(settled, this.#owed.get(userId)?.seq ?? 0)) continue;
      this.#owed.set(userId, { seq, tries: 0, freeAtMs: this.#nowMs() });
      owed++;
    }
    return { appends: old.length, owed };
  }

  /** The newest message behind `settled` whose conversation is not muted; 0 = none. */
  #audible(userId: string, settled: number, last: number): number {
    for (let inboxSeq = last; inboxSeq > Math.max(settled, last - MUTED_WINDOW); inboxSeq--)
      if (!this.#isMuted({ userId, inboxSeq })) return inboxSeq;
    return 0;
  }

  #ackedSeq(userId: string, readByClass: string): number {
    const all = this.#devices(userId);
    const named = all.filter(({ slot }) => classOf(slot) === readByClass);
    return Math.max(0, ...(named.length > 0 ? named : all).map(({ ackedSeq }) => ackedSeq));
  }

  async claimOwed({ holdMs, limit }: { holdMs: number; limit: number }): Promise<OwedPush[]> {
    const nowMs = this.#nowMs();
    const free = [...this.#owed].filter(([, { freeAtMs }]) => freeAtMs <= nowMs);
    const taken = free.sort(([, a], [, b]) => a.freeAtMs - b.freeAtMs).slice(0, limit);
    return taken.map(([userId, debt]) => {
      debt.tries++;
      debt.freeAtMs = nowMs + holdMs;
      return { userId, inboxSeq: debt.seq, tries: debt.tries };
    });
  }
}
