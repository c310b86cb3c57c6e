// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { DueList } from "./due-list.ts";
import type { HeldClient, HeldEvents } from "./held-client.ts";

/** What a crowd needs of a client. */
export type Member = Pick<HeldClient, "userId" | "failures" | "logIn" | "giveUp">;

/** What a crowd is told to do, and whom it tells. */
export interface CrowdOptions {
  clock: Clock;
  /** Where everybody logs in first. */
  port: number;
  /** Ports to go to when asked to move, in turn. */
  moveTo: readonly number[];
  /** First logins under way at a time. */
  concurrency: number;
  /** Everybody is logged in for the first time. */
  onHeld(): void;
  onMoved(moved: Moved): void;
  /** A broadcast has reached everybody; `lastMs` is the wall clock time of the last one. */
  onBroadcast?(lastMs: number): void;
  /** Somebody cannot get in. */
  onFailed(reason: string): void;
}

/** When those that had to move were back, since the first of them was asked. */
export interface Moved {
  moved: number;
  /** Moved because their connection ended, not because they were asked. */
  forced: number;
  /** Logins of theirs that came to nothing and were made again, by reason. */
  refused: Record<string, number>;
  p50Ms: number;
  p99Ms: number;
  lastMs: number;
  /** Their dials by second of the wall clock, those that came to nothing too. */
  dials: Record<string, number>;
}

function addCounts(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): Record<string, number> {
  const sums = { ...a };
  for (const [name, count] of Object.entries(b)) sums[name] = (sums[name] ?? 0) + count;
  return sums;
}

/** Of two halves: counts are added, times are those of the slower one. */
export function addMoved(a: Moved, b: Moved): Moved {
  return {
    moved: a.moved + b.moved,
    forced: a.forced + b.forced,
    refused: addCounts(a.refused, b.refused),
    dials: addCounts(a.dials, b.dials),
    p50Ms: Math.max(a.p50Ms, b.p50Ms),
    p99Ms: Math.max(a.p99Ms, b.p99Ms),
    lastMs: Math.max(a.lastMs, b.lastMs),
  };
}

const MAX_FAILURES = 20;
const RETRY_BASE_MS = 250;
const RETRY_CAP_MS = 4000;
const LOGIN_TIMEOUT_MS = 60_000;
const SWEEP_MS = 1000;
/** Nobody has been on the way for so long: the move is over. */
const SETTLED_MS = 500;

/** Many clients: who is logging in, who has to come again, and who moves. Two timers for all of them. */
export class Crowd<M extends Member> implements HeldEvents<M> {
  readonly #options: CrowdOptions;
  readonly #clients: M[] = [];
  readonly #due: DueList<M>;
  /** Since when each login is under way, the oldest first. */
  readonly #underWay = new Map<M, number>();
  /** Clients that never were in. */
  #missing = 0;
  #nextFirst = 0;
  /** Clients that have the broadcast that is under way. */
  #reached = 0;
  readonly #moving = new Set<M>();
  #asked = 0;
  #startedMs = 0;
  #backMs: number[] = [];
  #forced = 0;
  #refused: Record<string, number> = {};
  #dials: Record<string, number> = {};
  #cancelSettled: (() => void) | undefined;

  constructor(options: CrowdOptions) {
    this.#options = options;
    this.#due = new DueList(options.clock, (client) => this.#logIn(client));
  }

  get clients(): readonly M[] {
    return this.#clients;
  }

  add(client: M): void {
    this.#clients.push(client);
  }

  /** Logs everybody in. */
  start(): void {
    this.#missing = this.#clients.length;
    this.#sweep();
    for (let n = 0; n < this.#options.concurrency; n++) this.#startNext();
  }

  onWelcome(client: M): void {
    this.#underWay.delete(client);
    if (this.#moving.delete(client)) this.#isBack();
    else this.#isIn();
  }

  onRefused(client: M, reason: string, retryAfterMs: number): void {
    this.#underWay.delete(client);
    this.#refused[reason] = (this.#refused[reason] ?? 0) + 1;
    if (client.failures >= MAX_FAILURES) this.#options.onFailed(`${client.userId}: ${reason}`);
    // As the SDK: not before the server says, less often with each failure, and not all at once.
    else this.#due.add(client, Math.max(backoffMs(client.failures), retryAfterMs) * (1 + Math.random()));
  }

  onGoaway(client: M, minDelayMs: number, maxDelayMs: number): void {
    this.#move(client, minDelayMs + Math.random() * (maxDelayMs - minDelayMs));
  }

  onClosed(client: M): void {
    if (this.#moving.has(client)) return;
    if (this.#move(client, 0)) this.#forced++;
  }

  /** Broadcasts come one after the other: each reaches everybody before the next is made. */
  onBroadcast(): void {
    if (++this.#reached < this.#clients.length) return;
    this.#reached = 0;
    this.#options.onBroadcast?.(performance.timeOrigin + performance.now());
  }

  #startNext(): void {
    const client = this.#clients[this.#nextFirst++];
    if (client) this.#logIn(client);
  }

  #isIn(): void {
    this.#startNext();
    if (--this.#missing === 0) this.#options.onHeld();
  }

  #logIn(client: M): void {
    const { port, moveTo } = this.#options;
    this.#underWay.set(client, this.#options.clock.nowMs());
    if (this.#moving.has(client)) {
      const second = Math.floor(this.#options.clock.wallMs() / 1000);
      this.#dials[second] = (this.#dials[second] ?? 0) + 1;
    }
    client.logIn(this.#moving.has(client) ? (moveTo[this.#asked++ % moveTo.length] ?? port) : port);
  }

  #move(client: M, delayMs: number): boolean {
    if (this.#moving.has(client)) return false;
    if (this.#backMs.length === 0 && this.#moving.size === 0) {
      this.#startedMs = this.#options.clock.nowMs();
      [this.#forced, this.#refused, this.#dials] = [0, {}, {}];
    }
    this.#cancelSettled?.();
    this.#moving.add(client);
    this.#due.add(client, delayMs);
    return true;
  }

  #isBack(): void {
    this.#backMs.push(this.#options.clock.nowMs() - this.#startedMs);
    if (this.#moving.size === 0) this.#cancelSettled = this.#options.clock.after(SETTLED_MS, () => this.#tellMoved());
  }

  #tellMoved(): void {
    const back = this.#backMs;
    this.#backMs = [];
    const at = (share: number): number => Math.round(back[Math.ceil(back.length * share) - 1] ?? 0);
    const times = { p50Ms: at(0.5), p99Ms: at(0.99), lastMs: at(1) };
    const counts = { forced: this.#forced, refused: this.#refused, dials: this.#dials };
    this.#options.onMoved({ moved: back.length, ...times, ...counts });
  }

  /** Logins that nobody answers are given up. */
  #sweep(): void {
    const oldestMs = this.#options.clock.nowMs() - LOGIN_TIMEOUT_MS;
    for (const [client, sinceMs] of this.#underWay) {
      if (sinceMs > oldestMs) break;
      client.giveUp();
    }
    this.#options.clock.after(SWEEP_MS, () => this.#sweep());
  }
}

function backoffMs(failures: number): number {
  return Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** (failures - 1));
}
