// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { LogicMetrics } from "../metrics.ts";
import type { Session } from "../session/session.ts";
import { highestAcks } from "../store/highest-acks.ts";
import type { Store } from "../store/store.ts";

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

  /** Everything up to `inboxSeq` was applied on the session's device. The store bounds it by the head. */
  note(session: Session, inboxSeq: number): void {
    if (inboxSeq <= session.notedAckSeq) return;
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

  async #write(sessions: readonly Session[]): Promise<void> {
    // A device may have had two sessions meanwhile.
    const batch = highestAcks(
      sessions.map(({ userId, deviceId, notedAckSeq: inboxSeq }) => ({ userId, deviceId, inboxSeq })),
    );
    try {
      await this.#ports.store.advanceAcks(batch);
      this.#ports.metrics.acks.inc({ result: "written" }, batch.length);
    } catch (error) {
      this.#ports.onFault("acks", error);
      this.#ports.metrics.acks.inc({ result: "failed" }, batch.length);
      for (const session of sessions) if (!this.#waiting.has(session)) this.#keep(session);
    }
  }
}
