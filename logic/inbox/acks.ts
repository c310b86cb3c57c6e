// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { LogicMetrics } from "../metrics.ts";
import type { Session } from "../session/session.ts";
import { highestAcks } from "../store/highest-acks.ts";
import { OtherEpochError, type Store } from "../store/store.ts";
import type { EpochWatch } from "./epoch-watch.ts";

/** A receipt is one row per device and second, not per message. */
const WRITE_DELAY_MS = 1000;
/** Receipts due within this are written together; so the rows of one second are not written all at once. */
const TOGETHER_MS = 100;
const MAX_BATCH = 1000;
/** Sessions that wait while the store is away; acknowledgements are cumulative, a lost one costs little. */
const MAX_WAITING = 100_000;

/** What {@link AckBuffer} needs. */
export interface AckPorts {
  store: Pick<Store, "advanceAcks">;
  epochs: Pick<EpochWatch, "current" | "mark" | "doubt">;
  clock: Clock;
  /** A session has acknowledged more than before. */
  onNoted: (session: Session, inboxSeq: number) => void;
  onFault: (op: string, error: unknown) => void;
  metrics: LogicMetrics;
}

/** Collects cumulative acknowledgements and writes each at most 1 s later, in small batches, one at a time. */
export class AckBuffer {
  readonly #ports: AckPorts;
  /** Sessions whose `notedAckSeq` is not written, and when it is due; in this order. */
  readonly #waiting = new Map<Session, number>();
  #cancel: (() => void) | undefined;
  #writing: Promise<void> | undefined;
  #isClosed = false;

  constructor(ports: AckPorts) {
    this.#ports = ports;
  }

  get isIdle(): boolean {
    return this.#waiting.size === 0 && this.#writing === undefined;
  }

  /**
   * Everything up to `inboxSeq` was applied on the session's device. The store bounds it by the head. Of another epoch it
   * means nothing: either the session reconnects, or this process is about to learn of the epoch and hears the next one.
   */
  note(session: Session, inboxSeq: number): void {
    if (inboxSeq <= session.notedAckSeq) return;
    const { epochs } = this.#ports;
    if (session.epochMark !== epochs.mark) {
      epochs.doubt();
      return;
    }
    session.notedAckSeq = inboxSeq;
    this.#ports.onNoted(session, inboxSeq);
    if (this.#waiting.has(session)) return;
    this.#keep(session);
    this.#schedule();
  }

  /** Writes everything noted so far; failed ones stay for later. */
  async flush(): Promise<void> {
    await this.#writing;
    for (let parts = Math.ceil(this.#waiting.size / MAX_BATCH); parts > 0; parts--) {
      this.#start(Number.POSITIVE_INFINITY);
      await this.#writing;
    }
  }

  /** Forgets what was not written, releases the timer and sets none again. */
  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
    this.#cancel = undefined;
    this.#waiting.clear();
  }

  #keep(session: Session): void {
    if (this.#waiting.size < MAX_WAITING) this.#waiting.set(session, this.#ports.clock.nowMs() + WRITE_DELAY_MS);
    else this.#ports.metrics.acks.inc({ result: "dropped" });
  }

  /** Writes when the first is due; while a batch is under way, its end looks for the next. */
  #schedule(): void {
    const next = this.#waiting.values().next();
    if (this.#cancel || this.#writing || this.#isClosed || next.done) return;
    const { clock } = this.#ports;
    this.#cancel = clock.after(Math.max(0, next.value - clock.nowMs()), () => this.#start(clock.nowMs() + TOGETHER_MS));
  }

  #start(dueByMs: number): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#writing) return;
    const batch: Session[] = [];
    for (const [session, dueMs] of this.#waiting) {
      if (dueMs > dueByMs || batch.length === MAX_BATCH) break;
      batch.push(session);
    }
    for (const session of batch) this.#waiting.delete(session);
    if (batch.length === 0) return;
    this.#writing = this.#write(batch).finally(() => {
      this.#writing = undefined;
      this.#schedule();
    });
  }

  async #write(noted: readonly Session[]): Promise<void> {
    const { store, epochs } = this.#ports;
    // They wait for up to a second, in which the epoch may have changed.
    const sessions = noted.filter(({ epochMark }) => epochMark === epochs.mark);
    // A device may have had two sessions meanwhile.
    const batch = highestAcks(
      sessions.map(({ userId, deviceId, notedAckSeq: inboxSeq }) => ({ userId, deviceId, inboxSeq })),
    );
    try {
      await store.advanceAcks(batch, epochs.current);
      this.#ports.metrics.acks.inc({ result: "written" }, batch.length);
    } catch (error) {
      this.#ports.onFault("acks", error);
      this.#ports.metrics.acks.inc({ result: "failed" }, batch.length);
      if (error instanceof OtherEpochError) {
        epochs.doubt();
        return;
      }
      for (const session of sessions) if (!this.#waiting.has(session)) this.#keep(session);
    }
  }
}
