// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { BroadcastStore, Watermark } from "../store/broadcast-store.ts";

/** A million users acknowledge one broadcast within a heartbeat: they are written together. */
const WRITE_DELAY_MS = 500;
const MAX_BATCH = 1000;
/** Users that wait while the store is away. One more is not written: its next acknowledgement is. */
const MAX_WAITING = 100_000;

/** What {@link Watermarks} needs. */
export interface WatermarkPorts {
  store: Pick<BroadcastStore, "advance">;
  clock: Clock;
  /** That the positions are of. */
  epoch: () => string;
  onFault: (op: string, error: unknown) => void;
}

/** Collects how far users have acknowledged, and writes it a little later, one batch at a time. */
export class Watermarks {
  readonly #ports: WatermarkPorts;
  readonly #waiting = new Map<string, number>();
  #cancel: (() => void) | undefined;
  #writing: Promise<void> | undefined;
  #isClosed = false;

  constructor(ports: WatermarkPorts) {
    this.#ports = ports;
  }

  get isIdle(): boolean {
    return this.#waiting.size === 0 && this.#writing === undefined;
  }

  note(userId: string, seq: number): void {
    const known = this.#waiting.get(userId);
    if (seq <= (known ?? 0) || (known === undefined && this.#waiting.size >= MAX_WAITING)) return;
    this.#waiting.set(userId, seq);
    this.#schedule();
  }

  /** Writes what waits now. Never rejects. */
  async flush(): Promise<void> {
    this.#cancel?.();
    this.#cancel = undefined;
    await this.#writing;
    this.#writing = this.#write();
    await this.#writing;
  }

  /** Releases the timer. */
  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #schedule(): void {
    if (this.#isClosed || this.#cancel || this.#writing) return;
    this.#cancel = this.#ports.clock.after(WRITE_DELAY_MS, () => void this.flush());
  }

  async #write(): Promise<void> {
    const { store, epoch, onFault } = this.#ports;
    for (let isGood = true; isGood && this.#waiting.size > 0; ) {
      const batch = this.#take();
      try {
        await store.advance(batch, epoch());
      } catch (error) {
        onFault("watermarks", error);
        for (const { userId, seq } of batch) this.note(userId, seq);
        isGood = false;
      }
    }
    this.#writing = undefined;
    if (this.#waiting.size > 0) this.#schedule();
  }

  #take(): Watermark[] {
    const batch: Watermark[] = [];
    for (const [userId, seq] of this.#waiting) {
      if (batch.length === MAX_BATCH) break;
      batch.push({ userId, seq });
      this.#waiting.delete(userId);
    }
    return batch;
  }
}
