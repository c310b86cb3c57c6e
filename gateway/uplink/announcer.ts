// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { LogicDirectory, LogicPort } from "../session/uplink-port.ts";

/** A connection that may have a session. */
export interface Announceable {
  readonly session: object | undefined;
  /** Sends BIND for its session, to its own logic or else to `asking`. */
  announce(asking: LogicPort): void;
}

/** What {@link SessionAnnouncer} needs. */
export interface AnnouncerPorts {
  /** A live view: connections come and go while it is walked. */
  connections: () => Iterator<Announceable>;
  sessions: () => number;
  logics: LogicDirectory;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
}

/** 50,000 a second at most: a full entry of 20,000 is through in 0.4 s, and Redis keeps half of a core for others. */
const CHUNK = 500;
const CHUNK_EVERY_MS = 10;
/** All entries are asked at the same moment. */
const MAX_JITTER_MS = 200;
/** Every session is announced once in this time, asked or not: what the router lost unseen comes back. */
export const REASSERT_PERIOD_MS = 300_000;
const REASSERT_EVERY_MS = 1000;
/** With nobody attached, a walk looks this often whether somebody came. */
const NO_LOGIC_RETRY_MS = 200;
const MAX_REASSERTS = 500;

/**
 * Announces sessions to the router through logic: all of them, paced, when it forgot; and a few every second at any
 * time, so that a route that was lost, or a slot that two sessions believe to hold, is put right within five minutes.
 */
export class SessionAnnouncer {
  readonly #ports: AnnouncerPorts;
  /** The walk through everything that is under way, or waits for its start. */
  #walk: { rest: Iterator<Announceable> | undefined } | undefined;
  /** Asked again while walking: those already passed may be forgotten once more. */
  #isAskedAgain = false;
  #round: Iterator<Announceable> | undefined;
  #cancelWalk = (): void => undefined;
  #cancelTick = (): void => undefined;

  constructor(ports: AnnouncerPorts) {
    this.#ports = ports;
  }

  start(): void {
    this.#cancelTick();
    this.#cancelTick = this.#ports.clock.after(REASSERT_EVERY_MS, () => {
      this.start();
      this.#reassert();
    });
  }

  stop(): void {
    this.#cancelTick();
    this.#cancelWalk();
    this.#walk = undefined;
  }

  /** The router forgot. A request that comes before the walk began is answered by it. */
  announceAll(): void {
    if (this.#walk) {
      this.#isAskedAgain ||= this.#walk.rest !== undefined;
      return;
    }
    this.#walk = { rest: undefined };
    const jitterMs = Math.floor(this.#ports.random() * MAX_JITTER_MS);
    this.#cancelWalk = this.#ports.clock.after(jitterMs, () => this.#step());
  }

  #step(): void {
    const walk = this.#walk;
    if (!walk) return;
    const link = this.#ports.logics.choose();
    if (!link) {
      // Sessions would be bound to one that is gone.
      this.#cancelWalk = this.#ports.clock.after(NO_LOGIC_RETRY_MS, () => this.#step());
      return;
    }
    walk.rest ??= this.#ports.connections();
    if (announceSome(walk.rest, CHUNK, link)) {
      this.#cancelWalk = this.#ports.clock.after(CHUNK_EVERY_MS, () => this.#step());
      return;
    }
    this.#walk = undefined;
    if (!this.#isAskedAgain) return;
    this.#isAskedAgain = false;
    this.announceAll();
  }

  #reassert(): void {
    const share = Math.ceil((this.#ports.sessions() * REASSERT_EVERY_MS) / REASSERT_PERIOD_MS);
    const link = this.#ports.logics.choose();
    if (!link || share === 0) return;
    this.#round ??= this.#ports.connections();
    if (!announceSome(this.#round, Math.min(MAX_REASSERTS, share), link)) this.#round = undefined;
  }
}

/** Announces up to `count` sessions; false when there are no more. */
function announceSome(connections: Iterator<Announceable>, count: number, link: LogicPort): boolean {
  // Connections without a session cost a look each; they are few, and walked past within bounds all the same.
  for (let [left, looks] = [count, 4 * CHUNK]; left > 0 && looks > 0; looks--) {
    const next = connections.next();
    if (next.done) return false;
    if (next.value.session === undefined) continue;
    next.value.announce(link);
    left--;
  }
  return true;
}
