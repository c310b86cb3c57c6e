// SPDX-License-Identifier: Apache-2.0
import { type Clock, Timer } from "./clock.ts";

/** What {@link Heartbeat} needs from its connection. */
export interface HeartbeatPeer {
  ping(): void;
  /** Nothing came back for the whole timeout. `idleMs`: silence before a PING of the rhythm; 0 when it was asked for. */
  onSilence(idleMs: number): void;
}

export interface HeartbeatOptions {
  clock: Clock;
  random: () => number;
  /** The server's interval, at first: a PING goes out after 80-100 % of it. */
  intervalMs: number;
  /** Silence after a PING that counts as a dead connection. */
  timeoutMs: number;
}

/** A check that is later than this comes from a device or process that slept: the answer may be there, not yet read. */
const GRACE_MS = 1_000;

/** Sends PINGs and notices a peer that is gone. */
export class Heartbeat {
  readonly #peer: HeartbeatPeer;
  readonly #options: HeartbeatOptions;
  readonly #timer: Timer;
  #intervalMs: number;
  #pingAtMs = 0;
  #receivedAtMs: number;
  #idleMs = 0;
  #isAsking = false;

  constructor(peer: HeartbeatPeer, options: HeartbeatOptions) {
    this.#peer = peer;
    this.#options = options;
    this.#timer = new Timer(options.clock);
    this.#intervalMs = options.intervalMs;
    this.#receivedAtMs = options.clock.nowMs();
  }

  start(): void {
    this.#isAsking = false;
    const delayMs = this.#intervalMs * (0.8 + 0.2 * this.#options.random());
    this.#timer.set(delayMs, () => this.#ping(this.#options.clock.nowMs() - this.#receivedAtMs));
  }

  /** Another interval holds from now on. */
  setInterval(intervalMs: number): void {
    if (intervalMs === this.#intervalMs) return;
    this.#intervalMs = intervalMs;
    if (!this.#isAsking) this.start();
  }

  /** PINGs now, e.g. after the network came back. */
  probe(): void {
    this.#ping(0);
  }

  #ping(idleMs: number): void {
    const { clock, timeoutMs } = this.#options;
    this.#isAsking = true;
    this.#idleMs = idleMs;
    this.#pingAtMs = clock.nowMs();
    this.#peer.ping();
    this.#checkIn(timeoutMs);
  }

  /** Any bytes came: the peer lives, even when its PONG stands behind a long queue. */
  received(): void {
    this.#receivedAtMs = this.#options.clock.nowMs();
  }

  /** The PONG came; returns the round trip in ms. */
  pong(): number {
    this.start();
    return this.#options.clock.nowMs() - this.#pingAtMs;
  }

  stop(): void {
    this.#timer.clear();
  }

  #checkIn(delayMs: number): void {
    const dueAtMs = this.#options.clock.nowMs() + delayMs;
    this.#timer.set(delayMs, () => this.#check(dueAtMs));
  }

  #check(dueAtMs: number): void {
    const { clock, timeoutMs } = this.#options;
    const nowMs = clock.nowMs();
    const quietMs = nowMs - Math.max(this.#pingAtMs, this.#receivedAtMs);
    if (quietMs < timeoutMs) this.#checkIn(timeoutMs - quietMs);
    else if (nowMs - dueAtMs > GRACE_MS) this.#checkIn(GRACE_MS);
    else this.#peer.onSilence(this.#idleMs);
  }
}
