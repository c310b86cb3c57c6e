// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import type { Clock } from "#lib/clock.ts";
import { type Ended, HttpCarrier } from "./http-carrier.ts";

/** Answer to one poll: bytes of whole frames, and the cursor that acknowledges them. */
export interface Polled {
  readonly bytes: Buffer;
  /** Position in the downlink after `bytes`. */
  readonly cursor: number;
  /** This was the last of it. */
  readonly ended: Ended | undefined;
}

/** Bytes given out and not acknowledged, beyond which nothing more is taken from the outbox. */
export const POLL_WINDOW_BYTES = 256 * 1024;
const EMPTY = Buffer.alloc(0);

interface Waiter {
  readonly cancel: () => void;
  readonly resolve: (polled: Polled) => void;
}

/**
 * A downlink that is fetched in pieces. It keeps what was given out until the next poll acknowledges it by its cursor,
 * so an answer that is lost on the way is given again.
 */
export class PollCarrier extends HttpCarrier {
  readonly #clock: Clock;
  #chunks: Buffer[] = [];
  /** Position of the first byte kept: everything before was acknowledged. */
  #start = 0;
  #bytes = 0;
  #isBlocked = false;
  #isDestroyed = false;
  #waiter: Waiter | undefined;

  constructor(remoteAddress: string, clock: Clock) {
    super(remoteAddress);
    this.#clock = clock;
  }

  get bufferedBytes(): number {
    return this.#bytes;
  }

  write(bytes: Buffer): boolean {
    this.#chunks.push(bytes);
    this.#bytes += bytes.length;
    this.#wake();
    this.#isBlocked = this.#bytes > POLL_WINDOW_BYTES;
    return !this.#isBlocked;
  }

  /**
   * Acknowledges everything up to `cursor` and resolves with what follows: at once when there is something, else with the
   * next bytes, or with none after `waitMs`. One poll waits at a time: an earlier one is answered with nothing.
   * Undefined: `cursor` is no position of this downlink, or was acknowledged before.
   */
  poll(cursor: number, waitMs: number): Promise<Polled> | undefined {
    if (cursor < this.#start || cursor > this.#start + this.#bytes) return undefined;
    this.#acknowledge(cursor);
    this.#answer(EMPTY);
    if (this.#bytes > 0 || this.ended || this.#isDestroyed) return Promise.resolve(this.#polled(this.#join()));
    return new Promise((resolve) => {
      this.#waiter = { resolve, cancel: this.#clock.after(waitMs, () => this.#answer(EMPTY)) };
    });
  }

  destroy(): void {
    this.#isDestroyed = true;
    this.#answer(EMPTY);
    this.#chunks = [];
    this.gone();
  }

  protected onEnd(): void {
    this.#wake();
  }

  #acknowledge(cursor: number): void {
    let left = cursor - this.#start;
    this.#start = cursor;
    this.#bytes -= left;
    while (left > 0) {
      const chunk = this.#chunks[0] as Buffer;
      if (chunk.length > left) {
        this.#chunks[0] = chunk.subarray(left);
        break;
      }
      left -= chunk.length;
      this.#chunks.shift();
    }
    if (!this.#isBlocked || this.#bytes > POLL_WINDOW_BYTES) return;
    this.#isBlocked = false;
    this.drained();
  }

  #wake(): void {
    if (this.#waiter) this.#answer(this.#join());
  }

  /** Joined once: a poll that is repeated gets the same buffer. */
  #join(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0] ?? EMPTY;
  }

  #answer(bytes: Buffer): void {
    const waiter = this.#waiter;
    if (!waiter) return;
    this.#waiter = undefined;
    waiter.cancel();
    waiter.resolve(this.#polled(bytes));
  }

  #polled(bytes: Buffer): Polled {
    const isAll = bytes.length === this.#bytes;
    return { bytes, cursor: this.#start + bytes.length, ended: isAll ? this.ended : undefined };
  }
}
