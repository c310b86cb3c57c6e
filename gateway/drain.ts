// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import type { Logger } from "#lib/logger.ts";
import type { Connection } from "./session/connection.ts";

/** One drain as asked for. */
export interface DrainOrder {
  /** The same id again changes nothing. */
  drainId: string;
  /** Clients move spread over this. */
  windowMs: number;
  /** Connections that are left after this are closed. */
  deadlineMs: number;
}

/** What it needs of a connection. */
export type Leaver = Pick<Connection, "state" | "askToMove" | "close">;

/** What it needs of the hub. */
export interface DrainHub {
  readonly connections: number;
  all(): Iterable<Leaver>;
  closeAll(code: number, reason: string): void;
}

/** GOAWAYs per step, and the time between two steps. */
const CHUNK = 500;
const STEP_MS = 20;
/** A client is asked so long before it shall move: it has the time that the question needs, and 18,000 are not written to at once. */
const LEAD_MS = 250;
const REASON = "this entry is being drained: connect again";

/** Empties this entry: clients move one after the other, spread evenly over the window and in any order; the rest is closed at the deadline. */
export class Drain {
  readonly #hub: DrainHub;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #random: () => number;
  #order: DrainOrder | undefined;
  #deadlineAtMs = 0;
  #cancelDeadline: (() => void) | undefined;
  /** Those that stay until they are asked, in the order of their turns. */
  #line: Leaver[] = [];
  #next = 0;
  #lineSinceMs = 0;
  #cancelStep: (() => void) | undefined;

  constructor(hub: DrainHub, clock: Clock, log: Logger, random: () => number = Math.random) {
    this.#hub = hub;
    this.#clock = clock;
    this.#log = log;
    this.#random = random;
  }

  get isActive(): boolean {
    return this.#order !== undefined;
  }

  /** Begins; another id while one runs moves the deadline and gives those that were not asked yet its window. */
  start(order: DrainOrder): void {
    if (this.#order?.drainId === order.drainId) return;
    const isFirst = this.#order === undefined;
    this.#order = order;
    this.#deadlineAtMs = this.#clock.nowMs() + order.deadlineMs;
    this.#cancelDeadline?.();
    this.#cancelDeadline = this.#clock.after(order.deadlineMs, () => this.#closeRest());
    this.#log.info({ ...order, connections: this.#hub.connections }, "drain");
    this.#lineUp(isFirst ? this.#leaving() : this.#line.slice(this.#next));
  }

  /** A login that was under way when the drain began. */
  onLogin(connection: Leaver): void {
    if (this.#order) ask(connection, this.#random() * this.#windowMs(this.#order));
  }

  stop(): void {
    this.#cancelDeadline?.();
    this.#cancelStep?.();
  }

  /** Everybody that may be asked, now or when the login under way is done, in any order. Who has not said HELLO is sent away. */
  #leaving(): Leaver[] {
    const leaving: Leaver[] = [];
    for (const connection of [...this.#hub.all()]) {
      if (connection.state.kind === "hello") connection.close(DisconnectCode.DRAINED, REASON);
      else leaving.push(connection);
    }
    for (let at = leaving.length - 1; at > 0; at--) {
      const other = Math.floor(this.#random() * (at + 1));
      [leaving[at], leaving[other]] = [leaving[other] as Leaver, leaving[at] as Leaver];
    }
    return leaving;
  }

  #lineUp(connections: Leaver[]): void {
    this.#cancelStep?.();
    this.#line = connections;
    this.#next = 0;
    this.#lineSinceMs = this.#clock.nowMs();
    this.#askDue();
  }

  /** Asks those whose turn is near. */
  #askDue(): void {
    this.#cancelStep = undefined;
    if (!this.#order) return;
    const spacingMs = this.#windowMs(this.#order, this.#lineSinceMs) / this.#line.length;
    const sinceMs = this.#clock.nowMs() - this.#lineSinceMs;
    const end = Math.min(this.#line.length, this.#next + CHUNK);
    for (; this.#next < end; this.#next++) {
      const leftMs = Math.max(0, this.#next * spacingMs - sinceMs);
      if (leftMs > LEAD_MS) break;
      ask(this.#line[this.#next] as Leaver, leftMs);
    }
    if (this.#next < this.#line.length) this.#cancelStep = this.#clock.after(STEP_MS, () => this.#askDue());
    else this.#line = [];
  }

  /** The window, as far as the deadline leaves it. */
  #windowMs({ windowMs }: DrainOrder, fromMs: number = this.#clock.nowMs()): number {
    return Math.max(0, Math.min(windowMs, this.#deadlineAtMs - fromMs));
  }

  #closeRest(): void {
    if (this.#hub.connections > 0)
      this.#log.warn({ connections: this.#hub.connections }, "drain deadline: closing the rest");
    this.#hub.closeAll(DisconnectCode.DRAINED, REASON);
  }
}

function ask(connection: Leaver, delayMs: number): void {
  const ms = Math.round(delayMs);
  connection.askToMove(REASON, ms, ms);
}
