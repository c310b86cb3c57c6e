// SPDX-License-Identifier: Apache-2.0
import {
  type BudgetLimits,
  firstRate,
  isForgotten,
  nextRate,
  type RateState,
  type ReceiverSignals,
} from "./reconnect-rate.ts";

/** An entry whose clients are being asked, or closed. */
export interface DrainingEntry {
  uid: string;
  /** Sessions when its drain began. */
  initial: number;
  /** Sessions that were not asked yet, or connections that are not closed yet. */
  waiting: number;
  /** Past its deadline: all of them are to be closed within this, whatever its window says. */
  closeWithinMs?: number;
}

/** So many may be asked, or closed, with delays between `afterMs` and `afterMs + spreadMs`. */
export interface Lease {
  number: number;
  connections: number;
  afterMs: number;
  spreadMs: number;
}

/** Passes come more often than this while clients are asked, where there is time for them. */
const HORIZON_MS = 1_000;
/** Where passes take longer they look further ahead; not for longer than this, because what is handed out cannot be taken back. */
const MAX_HORIZON_MS = 4_000;
/** A pass looks ahead for so many times the longest that one took of late: the next may be later, and so may its calls. */
const AHEAD = 2;
/** How much of the longest pass is remembered from one to the next. */
const REMEMBERED = 0.9;
/**
 * Of the rate, what is handed out: a network or a client that is late by a little takes clients from one second into the next,
 * which must not have more than the budget allows either.
 */
export const HANDED_OUT = 0.92;
/** Drains remembered, at most: one for each entry that a cluster may have, and as many again. */
const MAX_PACED = 400;

/**
 * One budget of reconnects for all drains of a cluster. Everything handed out has its place in time: the next lease begins where
 * the last one ends, so that in no second more clients are asked than the rate allows, however many entries are drained. Each
 * entry in addition goes no faster than its window says. Nothing is saved up in quiet times, and nothing is lost by passes that
 * take long: then each hands out more. What is closed past a deadline comes out of the same budget: where the rate is too low for
 * that, it is raised, at most to the highest that is allowed.
 */
export class ReconnectBudget {
  #state: RateState | undefined;
  #maxPerSecond = 0;
  /** What was handed out lasts until then. */
  #busyUntilMs = 0;
  /** Of the last division: when it was made, and until when what it handed out lasts. */
  #division = { dividedMs: Number.NEGATIVE_INFINITY, busyUntilMs: 0 };
  /** The longest time from one division to the next, of late. */
  #longestMs = 0;
  #horizonMs = HORIZON_MS;
  /** The same for each entry by its own window. */
  readonly #paced = new Map<string, number>();
  #leases = new Map<string, Lease>();
  /** What an entry got too little, or too much, by being counted in whole clients: one with a small share has its turn, too. */
  #credits = new Map<string, number>();
  #number = 0;

  /** At present; undefined before the first drain, and when the last one was so long ago that the next begins anew. */
  rateAt(nowMs: number): number | undefined {
    return this.#state && !isForgotten(this.#state, nowMs) ? this.#state.ratePerSecond : undefined;
  }

  /** When the rate was last judged. */
  get judgedMs(): number {
    return this.#state?.judgedMs ?? Number.NEGATIVE_INFINITY;
  }

  /** @param signals `undefined` when nobody could say */
  judge(signals: ReceiverSignals | undefined, limits: BudgetLimits, nowMs: number): void {
    this.#maxPerSecond = limits.maxPerSecond;
    this.#state = nextRate(this.#state ?? firstRate(limits, nowMs), signals, limits, nowMs);
  }

  /** Nobody is asked at present: the time until somebody is says nothing about passes. */
  rest(): void {
    this.#division.dividedMs = Number.NEGATIVE_INFINITY;
  }

  /** Divides what may be asked until the horizon among the entries; {@link take} hands it out. Once a pass. */
  divide(entries: readonly DrainingEntry[], windowMs: number, nowMs: number): void {
    this.#leases = new Map();
    const rate = this.#rateFor(entries);
    this.#lookAhead(nowMs, rate);
    const fromMs = Math.max(nowMs, this.#busyUntilMs);
    const room = Math.floor(((nowMs + this.#horizonMs - fromMs) * rate) / 1000 + 1e-6);
    const wishes = entries.map((entry) => this.#wish(entry, windowMs, nowMs));
    const wanted = wishes.reduce((sum, { count }) => sum + count, 0);
    // Leases are numbered also when they are empty: the entry knows by them that somebody is there.
    let [left, stillWanted] = [Math.max(0, Math.min(room, wanted)), wanted];
    const credits = new Map<string, number>();
    for (const { uid, count, beginMs, perMs } of wishes) {
      const share = stillWanted > 0 ? (left * count) / stillWanted + (this.#credits.get(uid) ?? 0) : 0;
      const isLast = stillWanted - count <= 0;
      const connections = Math.max(0, Math.min(left, count, isLast ? left : Math.round(share)));
      credits.set(uid, Math.max(-1, Math.min(1, share - connections)));
      left -= connections;
      stillWanted -= count;
      this.#busyUntilMs = Math.max(this.#busyUntilMs, fromMs) + (rate > 0 ? (connections / rate) * 1000 : 0);
      if (connections > 0 && perMs > 0) this.#pace(uid, beginMs + connections / perMs);
      const startMs = Math.max(fromMs, beginMs);
      this.#leases.set(uid, { number: 0, connections, afterMs: Math.round(startMs - nowMs), spreadMs: 0 });
    }
    this.#credits = credits;
    for (const [uid, lease] of this.#leases) {
      const untilMs = Math.max(this.#busyUntilMs, Math.min(this.#paced.get(uid) ?? 0, nowMs + this.#horizonMs));
      this.#leases.set(uid, { ...lease, spreadMs: Math.max(0, Math.round(untilMs - nowMs - lease.afterMs)) });
    }
    // Also where windows stretch what the rate would have let through sooner: what begins before would come on top of it.
    for (const { connections, afterMs, spreadMs } of this.#leases.values())
      if (connections > 0) this.#busyUntilMs = Math.max(this.#busyUntilMs, nowMs + afterMs + spreadMs);
    this.#division = { dividedMs: nowMs, busyUntilMs: this.#busyUntilMs };
  }

  /**
   * What this entry gets in this pass, once. `undefined`: it was not among those.
   * @param wallMs numbers leases so that those of the next operator are higher
   * @param nowMs when it is handed out: a pass that was slow in between must not push clients into the time of the next lease
   */
  take(uid: string, wallMs: number, nowMs: number): Lease | undefined {
    const lease = this.#leases.get(uid);
    if (!lease) return undefined;
    this.#leases.delete(uid);
    this.#number = Math.max(this.#number + 1, Math.floor(wallMs));
    const { dividedMs, busyUntilMs } = this.#division;
    const leftMs = lease.afterMs - Math.max(0, Math.round(nowMs - dividedMs));
    if (lease.connections > 0) this.#busyUntilMs = Math.max(this.#busyUntilMs, busyUntilMs - Math.min(0, leftMs));
    return { ...lease, afterMs: Math.max(0, leftMs), number: this.#number };
  }

  #lookAhead(nowMs: number, rate: number): void {
    const sinceMs = nowMs - this.#division.dividedMs;
    this.#longestMs = Number.isFinite(sinceMs) ? Math.max(sinceMs, this.#longestMs * REMEMBERED) : 0;
    const oneMs = rate > 0 ? 1000 / rate : 0;
    this.#horizonMs = Math.max(HORIZON_MS, oneMs, Math.min(MAX_HORIZON_MS, AHEAD * this.#longestMs));
  }

  #rateFor(entries: readonly DrainingEntry[]): number {
    const usual = this.#state?.ratePerSecond ?? 0;
    const perSecond = ({ waiting, closeWithinMs }: DrainingEntry) =>
      closeWithinMs === undefined ? 0 : (waiting / closeWithinMs) * 1000;
    const needed = entries.reduce((sum, entry) => sum + perSecond(entry), 0);
    return Math.max(usual * HANDED_OUT, Math.min(needed, this.#maxPerSecond * HANDED_OUT));
  }

  /** How many an entry would be asked by its window alone. */
  #wish({ uid, initial, waiting, closeWithinMs }: DrainingEntry, windowMs: number, nowMs: number) {
    const isClosing = closeWithinMs !== undefined;
    const perMs = windowMs > 0 && !isClosing ? initial / windowMs : 0;
    const beginMs = isClosing ? nowMs : Math.max(nowMs, this.#paced.get(uid) ?? 0);
    const leftMs = nowMs + this.#horizonMs - beginMs;
    const byWindow = perMs > 0 ? Math.ceil(Math.max(0, leftMs) * perMs) : waiting;
    return { uid, count: Math.max(0, Math.min(waiting, byWindow)), beginMs, perMs };
  }

  #pace(uid: string, untilMs: number): void {
    this.#paced.delete(uid);
    this.#paced.set(uid, untilMs);
    if (this.#paced.size <= MAX_PACED) return;
    const [oldest] = this.#paced.keys();
    if (oldest !== undefined) this.#paced.delete(oldest);
  }
}
