// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import type { Logger } from "#lib/logger.ts";
import type { Connection } from "./session/connection.ts";
import type { Hub } from "./session/hub.ts";

/** One drain as asked for. */
export interface DrainOrder {
  /** The same id again changes nothing. */
  drainId: string;
  /** Clients move spread over this. */
  windowMs: number;
  /** Connections that are left after this are closed. */
  deadlineMs: number;
}

/** GOAWAYs per turn of the event loop. */
const CHUNK = 500;
const REASON = "this entry is being drained: connect again";

/** Empties this entry: each client is asked to move after a delay of its own, the rest is closed at the deadline. */
export class Drain {
  readonly #hub: Hub;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #random: () => number;
  #order: DrainOrder | undefined;
  #deadlineAtMs = 0;
  #cancelDeadline: (() => void) | undefined;

  constructor(hub: Hub, clock: Clock, log: Logger, random: () => number = Math.random) {
    this.#hub = hub;
    this.#clock = clock;
    this.#log = log;
    this.#random = random;
  }

  get isActive(): boolean {
    return this.#order !== undefined;
  }

  /** Begins; another id while one runs moves the deadline, and asks nobody twice. */
  start(order: DrainOrder): void {
    if (this.#order?.drainId === order.drainId) return;
    const isFirst = this.#order === undefined;
    this.#order = order;
    this.#deadlineAtMs = this.#clock.nowMs() + order.deadlineMs;
    this.#cancelDeadline?.();
    this.#cancelDeadline = this.#clock.after(order.deadlineMs, () => this.#closeRest());
    this.#log.info({ ...order, connections: this.#hub.connections }, "drain");
    if (isFirst) this.#askAll();
  }

  /** A login that was under way when the drain began. */
  onLogin(connection: Connection): void {
    if (this.#order) this.#ask(connection, this.#order.windowMs);
  }

  stop(): void {
    this.#cancelDeadline?.();
  }

  #askAll(): void {
    const connections = [...this.#hub.all()];
    let at = 0;
    const step = (): void => {
      const windowMs = this.#order?.windowMs ?? 0;
      const end = Math.min(connections.length, at + CHUNK);
      for (; at < end; at++) {
        const connection = connections[at];
        if (connection?.state.kind === "hello") connection.close(DisconnectCode.DRAINED, REASON);
        else if (connection) this.#ask(connection, windowMs);
      }
      if (at < connections.length) setImmediate(step);
    };
    step();
  }

  #ask(connection: Connection, windowMs: number): void {
    const leftMs = Math.max(0, this.#deadlineAtMs - this.#clock.nowMs());
    const delayMs = Math.round(this.#random() * Math.min(windowMs, leftMs));
    connection.askToMove(REASON, delayMs, delayMs);
  }

  #closeRest(): void {
    if (this.#hub.connections > 0)
      this.#log.warn({ connections: this.#hub.connections }, "drain deadline: closing the rest");
    this.#hub.closeAll(DisconnectCode.DRAINED, REASON);
  }
}
