// SPDX-License-Identifier: Apache-2.0
import type { Buffer } from "node:buffer";
import type { Carrier } from "../session/carrier.ts";

/** Why the entry ended a downlink. */
export interface Ended {
  /** DisconnectCode. */
  readonly code: number;
  readonly reason: string;
}

/** As the client gets it, in a header or in the line of an event: nothing in a reason ends those, or is no ASCII. */
export function closeText({ code, reason }: Ended): string {
  return `${code} ${reason.replace(/[^\x20-\x7e]/g, "?")}`;
}

/** What a carrier tells its connection. */
export interface CarrierOwner {
  onDrain(): void;
  /** The downlink is gone for good; exactly once. */
  onGone(): void;
}

/** Downlink of a session over HTTP. What the client sends comes in requests of its own. */
export abstract class HttpCarrier implements Carrier {
  readonly listener = "http";
  readonly remoteAddress: string;
  #owner: CarrierOwner | undefined;
  #isPaused = false;
  #isGone = false;
  #ended: Ended | undefined;

  constructor(remoteAddress: string) {
    this.remoteAddress = remoteAddress;
  }

  /** Events go to `owner` from here on. */
  attach(owner: CarrierOwner): void {
    this.#owner = owner;
  }

  /** The client does not read its answers: no more requests are taken. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Undefined while the entry did not end it. */
  get ended(): Ended | undefined {
    return this.#ended;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
  }

  end(code: number, reason: string): void {
    if (this.#ended) return;
    this.#ended = { code, reason };
    this.onEnd(this.#ended);
  }

  abstract readonly bufferedBytes: number;
  abstract write(bytes: Buffer): boolean;
  abstract destroy(): void;
  /** Everything was written: the client is to hear why this ends. */
  protected abstract onEnd(ended: Ended): void;

  protected drained(): void {
    this.#owner?.onDrain();
  }

  /** Tells the owner once. */
  protected gone(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#owner?.onGone();
  }
}
