// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { DisconnectCode } from "#lib/codes.ts";
import type { Logger } from "#lib/logger.ts";
import type { DrainedSessionsReply } from "#proto/gen/messages.ts";
import { DrainQueue } from "./drain-queue.ts";
import { DrainRecord } from "./drain-record.ts";
import { Hints } from "./hints.ts";
import type { Connection } from "./session/connection.ts";
import type { Session } from "./session/session.ts";
import { turnsOf } from "./turns.ts";

/** So many clients may be asked now; see `ReconnectLease` of the control protocol. */
export interface ReconnectGrant {
  number: number;
  connections: number;
  afterMs: number;
  spreadMs: number;
  ttlMs: number;
}

/** One drain as asked for. */
export interface DrainOrder {
  /** The same id again brings the next lease, and else changes nothing. */
  drainId: string;
  /** Clients move spread over this. */
  windowMs: number;
  /** Connections that are left after this are closed. */
  deadlineMs: number;
  /** They are not closed: they stay until they end by themselves. */
  isHeld?: boolean;
  /** Closes what is left: as the leases say, or without one now. */
  isForced?: boolean;
  /** The process ends with it: no other order takes its place. */
  isFinal?: boolean;
  /** None: this entry spreads its clients over the window by itself. */
  lease?: ReconnectGrant;
  /** Addresses of entries with room, the best first; those of the newest order count. */
  endpoints?: readonly string[];
}

/** What became of the clients of this entry since its first drain. */
export interface DrainFigures {
  initial: number;
  asked: number;
  forced: number;
  /** Not asked yet. */
  waiting: number;
}

/** What it needs of a connection. */
export type Leaver = Pick<Connection, "state" | "askToMove" | "close"> & Partial<Pick<Connection, "conn" | "dueTick">>;

/** What it needs of the hub. */
export interface DrainHub {
  readonly connections: number;
  readonly sessions: number;
  all(): Iterable<Leaver>;
  /** Called when a connection closes. */
  onClosed: (conn: number) => void;
}

/** GOAWAYs per step, and the time between two steps. */
const CHUNK = 500;
const STEP_MS = 20;
/** A client is asked so long before it shall move: it has the time that the question needs, and 18,000 are not written to at once. */
const LEAD_MS = 250;
/** Without leases what is left at the deadline is closed within about three seconds: not all clients dial in the same moment. */
const CLOSE_STEPS = 30;
const CLOSE_STEP_MS = 100;
/** So many at once are no storm. */
const MIN_CLOSED_A_STEP = 50;
const REASON = "this entry is being drained: connect again";

/** What is left is closed: as many as the leases say, or all of it by itself. */
type Closing = "no" | "byLease" | "all";

/**
 * Empties this entry: clients move one after the other, those first who notice it least; the rest is closed at the deadline.
 * With leases the operator says how many may be asked, and after the deadline how many are closed; when they stop coming, this
 * entry goes by its own window, and closes the rest by itself.
 */
export class Drain {
  readonly #hub: DrainHub;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #random: () => number;
  readonly #record: DrainRecord;
  readonly #queue = new DrainQueue<Leaver>({ isBusy, heardAt, isHere });
  #order: DrainOrder | undefined;
  #deadlineAtMs = 0;
  #lastLease = 0;
  #isLeased = false;
  #closing: Closing = "no";
  /** When one more is closed, by leases. */
  #closeAtMs: number[] = [];
  #initial = 0;
  #asked = 0;
  #forced = 0;
  readonly #hints = new Hints();
  /** By its own window: those that stay until they are asked, in the order of their turns. */
  #line: Leaver[] = [];
  #next = 0;
  #lineSinceMs = 0;
  #cancelStep = (): void => undefined;
  #cancelDeadline = (): void => undefined;
  #cancelLease = (): void => undefined;
  #cancelClosing = (): void => undefined;

  constructor(hub: DrainHub, clock: Clock, log: Logger, random: () => number = Math.random) {
    this.#hub = hub;
    this.#clock = clock;
    this.#log = log;
    this.#random = random;
    this.#record = new DrainRecord(clock);
    hub.onClosed = (conn) => this.#record.closed(conn);
  }

  get isActive(): boolean {
    return this.#order !== undefined;
  }

  get figures(): DrainFigures {
    let waiting = 0;
    if (this.#order) for (const { state } of this.#hub.all()) if (state.kind === "open") waiting++;
    return { initial: this.#initial, asked: this.#asked, forced: this.#forced, waiting };
  }

  /** A page of the sessions that were asked or closed, and are gone. */
  drained(cursor: number): DrainedSessionsReply {
    return this.#record.page(cursor);
  }

  /**
   * Begins, or brings the next lease; another id while one runs moves the deadline and gives those that were not asked yet its
   * window. Nothing that comes late changes a drain with which the process ends.
   */
  start(order: DrainOrder): void {
    if (this.#order?.isFinal && this.#order.drainId !== order.drainId) return;
    this.#hints.endpoints = order.endpoints ?? [];
    if (this.#order?.drainId !== order.drainId) this.#begin(order);
    if (order.isForced && order.lease) this.#closeByLease(order.lease.ttlMs);
    else if (order.isForced) this.#closeRest();
    if (order.lease) this.#take(order.lease);
  }

  /** A login that was under way when the drain began. */
  onLogin(connection: Leaver): void {
    if (this.#isLeased) this.#queue.add(connection);
    else if (this.#order) this.#ask(connection, this.#random() * this.#span(this.#order.windowMs));
  }

  /** It was declared dead: who is left goes at once, and no lease is waited for. */
  closeNow(): void {
    this.stop();
    this.#closeAtMs = [];
    this.#closing = "all";
    this.#warn("declared dead: closing the rest at once");
    this.#close(Number.POSITIVE_INFINITY);
  }

  stop(): void {
    this.#cancelDeadline();
    this.#cancelLease();
    this.#cancelClosing();
    this.#cancelStep();
  }

  #begin(order: DrainOrder): void {
    const isFirst = this.#order === undefined;
    this.#order = order;
    this.#deadlineAtMs = this.#clock.nowMs() + order.deadlineMs;
    this.#cancelDeadline();
    if (!order.isHeld) this.#cancelDeadline = this.#clock.after(order.deadlineMs, () => this.#onDeadline());
    this.#log.info({ ...order, connections: this.#hub.connections }, "drain");
    if (isFirst) this.#queue.fill(this.#leaving());
    else this.#queue.fill([...this.#queue.take(Number.POSITIVE_INFINITY), ...this.#line.slice(this.#next)]);
    this.#line = [];
    this.#next = 0;
    // Leases are numbered within a drain.
    this.#lastLease = 0;
    this.#cancelLease();
    this.#cancelStep();
    if (this.#closing === "byLease") this.#stopClosing();
    this.#isLeased = order.lease !== undefined;
    if (!this.#isLeased) this.#lineUp();
  }

  /** Everybody that may be asked, now or when the login under way is done, in any order. Who has not said HELLO is sent away. */
  #leaving(): Leaver[] {
    this.#initial = this.#hub.sessions;
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

  /** A lease that came before, or out of turn, adds nothing: an answer was lost and the call repeated. */
  #take(grant: ReconnectGrant): void {
    const { number, connections, afterMs, spreadMs, ttlMs } = grant;
    if (this.#closing === "all" || number <= this.#lastLease) return;
    if (!this.#isLeased && this.#lastLease === 0) return;
    if (!this.#isLeased) this.#lineBack();
    this.#lastLease = number;
    this.#cancelLease();
    this.#cancelLease = this.#clock.after(ttlMs, () => this.#onLeaseEnd());
    if (this.#closing === "byLease") {
      this.#closeLater(connections, afterMs, spreadMs);
      return;
    }
    const asked = this.#queue.take(connections);
    const turns = turnsOf(asked.length, grant, this.#random);
    for (const [at, one] of asked.entries()) this.#ask(one, this.#span(turns[at] ?? 0));
  }

  #onLeaseEnd(): void {
    if (this.#closing === "byLease") this.#closeRest();
    else this.#lineUp();
  }

  /** The operator is back: who has not been asked by then waits for its leases again. */
  #lineBack(): void {
    this.#cancelStep();
    this.#queue.fill(this.#line.slice(this.#next));
    this.#line = [];
    this.#isLeased = true;
  }

  /** Nobody says how fast, or not any more: evenly over the window. */
  #lineUp(): void {
    this.#cancelLease();
    this.#isLeased = false;
    this.#line = this.#queue.take(Number.POSITIVE_INFINITY);
    this.#next = 0;
    this.#lineSinceMs = this.#clock.nowMs();
    this.#askDue();
  }

  /** Asks those whose turn is near. */
  #askDue(): void {
    const spacingMs = this.#span(this.#order?.windowMs ?? 0, this.#lineSinceMs) / this.#line.length;
    const sinceMs = this.#clock.nowMs() - this.#lineSinceMs;
    const end = Math.min(this.#line.length, this.#next + CHUNK);
    for (; this.#next < end; this.#next++) {
      const leftMs = Math.max(0, this.#next * spacingMs - sinceMs);
      if (leftMs > LEAD_MS) break;
      this.#ask(this.#line[this.#next] as Leaver, leftMs);
    }
    if (this.#next < this.#line.length) this.#cancelStep = this.#clock.after(STEP_MS, () => this.#askDue());
    else this.#line = [];
  }

  /** No client is asked to move after the deadline, unless they may stay beyond it. */
  #span(windowMs: number, fromMs: number = this.#clock.nowMs()): number {
    if (this.#order?.isHeld) return windowMs;
    return Math.max(0, Math.min(windowMs, this.#deadlineAtMs - fromMs));
  }

  #ask(connection: Leaver, delayMs: number): void {
    if (connection.state.kind !== "open") return;
    this.#asked++;
    this.#note(connection);
    const ms = Math.round(delayMs);
    connection.askToMove(REASON, ms, ms, this.#hints.next());
  }

  #note(connection: Leaver): void {
    const session = sessionOf(connection);
    if (session && connection.conn !== undefined) this.#record.add(connection.conn, session);
  }

  #onDeadline(): void {
    if (this.#isLeased) this.#closeByLease();
    else this.#closeRest();
  }

  /** From now on leases say how many are closed. @param ttlMs where none has run: the first one comes within this */
  #closeByLease(ttlMs = 0): void {
    this.#cancelDeadline();
    if (this.#closing !== "no") return;
    this.#closing = "byLease";
    if (!this.#isLeased) this.#cancelLease = this.#clock.after(ttlMs, () => this.#onLeaseEnd());
    this.#isLeased = true;
    this.#cancelStep();
    this.#warn("drain deadline: closing the rest as leases come");
  }

  #closeLater(count: number, afterMs: number, spreadMs: number): void {
    const fromMs = this.#clock.nowMs() + afterMs;
    const more = Math.min(count, this.#hub.connections - this.#closeAtMs.length);
    for (let at = 0; at < more; at++) this.#closeAtMs.push(fromMs + (spreadMs * at) / more);
    this.#cancelClosing();
    this.#closeDue();
  }

  #closeDue(): void {
    const nowMs = this.#clock.nowMs();
    const later = this.#closeAtMs.filter((atMs) => atMs > nowMs);
    const due = this.#closeAtMs.length - later.length;
    this.#closeAtMs = later;
    this.#close(due);
    if (later.length > 0) this.#cancelClosing = this.#clock.after(CLOSE_STEP_MS, () => this.#closeDue());
  }

  #stopClosing(): void {
    this.#cancelClosing();
    this.#closeAtMs = [];
    this.#closing = "no";
  }

  #closeRest(): void {
    this.#cancelDeadline();
    if (this.#closing === "all") return;
    this.#stopClosing();
    this.#closing = "all";
    this.#cancelLease();
    this.#cancelStep();
    this.#warn("drain deadline: closing the rest");
    this.#closeSome(Math.max(MIN_CLOSED_A_STEP, Math.ceil(this.#hub.connections / CLOSE_STEPS)));
  }

  #warn(text: string): void {
    const { connections } = this.#hub;
    if (connections > 0) this.#log.warn({ connections }, text);
  }

  #closeSome(count: number): void {
    this.#close(count);
    if (this.#hub.connections === 0) return;
    this.#cancelClosing = this.#clock.after(CLOSE_STEP_MS, () => this.#closeSome(count));
  }

  #close(count: number): void {
    if (count === 0) return;
    let left = count;
    for (const connection of [...this.#hub.all()]) {
      if (left-- <= 0) break;
      if (sessionOf(connection)) this.#forced++;
      this.#note(connection);
      connection.close(DisconnectCode.DRAINED, REASON);
    }
  }
}

function sessionOf({ state }: Leaver): Session | undefined {
  return state.kind === "open" || state.kind === "draining" ? state.session : undefined;
}

export function isBusy(connection: Leaver): boolean {
  const session = sessionOf(connection);
  return session !== undefined && (session.inFlight > 0 || session.owesAck);
}

/** One that is logging in comes into the queue when it is in. */
function isHere({ state }: Leaver): boolean {
  return state.kind === "open";
}

/** Its deadline is so many ticks of silence away. */
export function heardAt(connection: Leaver): number {
  return (connection.dueTick?.() ?? 0) - (sessionOf(connection)?.pingTicks ?? 0);
}
