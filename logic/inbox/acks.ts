// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { LogicMetrics } from "../metrics.ts";
import type { Session } from "../session/session.ts";
import type { DeviceAck, Store } from "../store/store.ts";

/** A receipt is one row per device, not per message: five times fewer writes than at 200 ms, for users who talk all the time. */
const FLUSH_DELAY_MS = 1000;
const FLUSH_AT = 1000;
/** Devices that wait for a flush while the store is away; acknowledgements are cumulative, a lost one costs little. */
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

/** Collects cumulative acknowledgements and writes them at most 1 s later, one batch at a time. */
export class AckBuffer {
  readonly #ports: AckPorts;
  #waiting = new Map<string, DeviceAck>();
  #cancel: (() => void) | undefined;
  #flushing: Promise<void> | undefined;

  constructor(ports: AckPorts) {
    this.#ports = ports;
  }

  get isIdle(): boolean {
    return this.#waiting.size === 0 && this.#flushing === undefined;
  }

  /** Everything up to `inboxSeq` was applied on the session's device. The store bounds it by the head. */
  note(session: Session, inboxSeq: number): void {
    if (inboxSeq <= session.notedAckSeq) return;
    session.notedAckSeq = inboxSeq;
    this.#ports.onNoted(session, inboxSeq);
    this.#keep({ userId: session.userId, deviceId: session.deviceId, inboxSeq });
    if (this.#flushing) return;
    if (this.#waiting.size >= FLUSH_AT) this.#start();
    else this.#cancel ??= this.#ports.clock.after(FLUSH_DELAY_MS, () => this.#start());
  }

  /** Writes everything noted so far; failed ones stay for the next flush. */
  async flush(): Promise<void> {
    await this.#flushing;
    this.#start();
    await this.#flushing;
  }

  /** Forgets what was not written and releases the timer. */
  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#waiting.clear();
  }

  #keep(ack: DeviceAck): void {
    const key = `${ack.userId}\0${ack.deviceId}`;
    const known = this.#waiting.get(key);
    if (known) known.inboxSeq = Math.max(known.inboxSeq, ack.inboxSeq);
    else if (this.#waiting.size < MAX_WAITING) this.#waiting.set(key, ack);
    else this.#ports.metrics.acks.inc({ result: "dropped" });
  }

  #start(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#waiting.size === 0 || this.#flushing) return;
    const batch = [...this.#waiting.values()];
    this.#waiting = new Map();
    this.#flushing = this.#write(batch).finally(() => {
      this.#flushing = undefined;
      if (this.#waiting.size > 0) this.#cancel ??= this.#ports.clock.after(FLUSH_DELAY_MS, () => this.#start());
    });
  }

  async #write(batch: DeviceAck[]): Promise<void> {
    try {
      await this.#ports.store.advanceAcks(batch);
      this.#ports.metrics.acks.inc({ result: "written" }, batch.length);
    } catch (error) {
      this.#ports.onFault("acks", error);
      this.#ports.metrics.acks.inc({ result: "failed" }, batch.length);
      for (const ack of batch) this.#keep(ack);
    }
  }
}
