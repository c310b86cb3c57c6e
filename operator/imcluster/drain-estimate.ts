// SPDX-License-Identifier: Apache-2.0
import { CORDON_DEADLINE_MS, type DrainLimits, type DrainPhase, FORCE_DEADLINE_MS } from "./drain.ts";
import { HANDED_OUT } from "./reconnect-budget.ts";
import { type BudgetLimits, firstRate, raisePerSecond } from "./reconnect-rate.ts";

/** An entry that leaves, or is going to. */
export interface Leaver {
  /** `undefined`: nobody has told it yet. */
  phase: DrainPhase | undefined;
  /** Until the deadline of the phase it is in. */
  leftMs: number;
  /** Sessions when its clients begin to be asked. */
  initial: number;
  /** Of these, not asked yet. */
  waiting: number;
}

/** How drains go. */
export interface DrainTerms {
  drain: DrainLimits;
  budget: BudgetLimits;
  /** What all drains together may ask at present; `undefined`: they begin anew. */
  ratePerSecond?: number | undefined;
  /** Entries that ask at the same time. */
  atOnce: number;
  /** All close at once and nobody asks before all are out of the Service, as in an update; else each closes when its turn comes. */
  isTogether: boolean;
  /** Nobody else is told before: entries that shall take over are on their way. Default 0. */
  beginSeconds?: number;
  /**
   * Entries that stay. Clients of one that leaves go to them and to those that leave later, from where they move again.
   * Default: to others only.
   */
  stayers?: number;
}

export interface DrainEstimate {
  /** Of each leaver, from now until its pod is let go. */
  seconds: number[];
  /** Most reconnects in a second. */
  peakPerSecond: number;
  /** What all drains together may ask at the end. */
  ratePerSecond: number;
}

/** From the word to an entry until its pod is not ready, and the operator has seen it. */
const CLOSE_SECONDS = 1.5;
/** A pass notices what has changed after this, on average, and writes it down. */
const LOOK_SECONDS = 0.5;
/** From the last client that is asked until it is gone, and that is seen. */
const TAIL_SECONDS = 1;
/** Purge, proof, release. */
const END_SECONDS = 1;
/** A drain changes what it does a handful of times. */
const MAX_STEPS = 20_000;
const RATE_STEP_SECONDS = 1;

/** Times in seconds from now. */
interface Running {
  index: number;
  waiting: number;
  /** Asked per second by its window. */
  perSecond: number;
  /** Closed per second to be done in time, past its deadline; else 0. */
  needsPerSecond: number;
  /** It may ask, or is let go, from then on. */
  dueAt: number;
  /** Then it closes the rest. */
  deadlineAt: number;
}

/**
 * How long drains take if nobody suffers from them: the same budget that {@link ReconnectBudget} divides, rising as it rises,
 * shared by all who ask at the same time, no entry faster than its window. Goes from one change to the next, not second by
 * second. Pure.
 *
 * @param leavers in the order in which they go
 */
export function estimateDrains(leavers: readonly Leaver[], terms: DrainTerms): DrainEstimate {
  return new Forecast(leavers, terms).run();
}

class Forecast {
  readonly #terms: DrainTerms;
  /** Of each leaver, as far as it has not begun. */
  readonly #clients: { waiting: number; initial: number }[];
  readonly #seconds: number[];
  readonly #waiting: number[];
  #closing: Running[] = [];
  /** Out of the Service, and not asking yet. */
  #closed: Running[] = [];
  #asking: Running[] = [];
  #ending: Running[] = [];
  #now = 0;
  #rate: number;
  #peak = 0;

  constructor(leavers: readonly Leaver[], terms: DrainTerms) {
    this.#terms = terms;
    this.#seconds = leavers.map(() => 0);
    const { budget, ratePerSecond = firstRate(budget, 0).ratePerSecond } = terms;
    this.#rate = Math.min(budget.maxPerSecond, Math.max(budget.minPerSecond, ratePerSecond));
    this.#clients = leavers.map(({ waiting, initial }) => ({ waiting, initial }));
    this.#waiting = leavers.flatMap((leaver, index) => (this.#resume(leaver, index) ? [] : [index]));
    for (const { waiting } of [...this.#closing, ...this.#asking]) this.#handOver(waiting);
  }

  run(): DrainEstimate {
    for (let step = 0; step < MAX_STEPS; step++) {
      this.#begin();
      const speeds = this.#speeds();
      this.#peak = Math.max(this.#peak, Math.min(sum(speeds), sum(this.#asking.map(({ waiting }) => waiting))));
      const seconds = this.#untilNext(speeds);
      if (seconds === undefined) break;
      this.#advance(seconds, speeds);
    }
    const rest = [...this.#closing, ...this.#closed, ...this.#asking, ...this.#ending].map(({ index }) => index);
    for (const index of [...rest, ...this.#waiting]) this.#seconds[index] = this.#now;
    return { seconds: this.#seconds, peakPerSecond: this.#peak, ratePerSecond: this.#rate };
  }

  /** Puts one where its drain is. @returns whether it has begun */
  #resume({ phase, leftMs, waiting, initial }: Leaver, index: number): boolean {
    const left = Math.max(0, leftMs / 1000);
    const one = { index, waiting, perSecond: this.#pace(initial), dueAt: 0, deadlineAt: left, needsPerSecond: 0 };
    switch (phase) {
      case undefined:
      case "Planned":
        return false;
      case "Cordoned":
        // Load balancers began to notice when it was told.
        this.#closing.push({ ...one, dueAt: this.#closeSeconds(waiting) - CORDON_DEADLINE_MS / 1000 + left });
        return true;
      case "LbDetaching":
        this.#closing.push({ ...one, dueAt: left + LOOK_SECONDS });
        return true;
      case "Draining":
        this.#ask(one);
        return true;
      case "Forcing":
        this.#ask(forced(one, left - FORCE_DEADLINE_MS / 1000));
        return true;
      default:
        this.#end(one, phase === "Purging" ? END_SECONDS : END_SECONDS / 2);
        return true;
    }
  }

  #pace(clients: number): number {
    const { windowMs } = this.#terms.drain;
    return windowMs > 0 ? (clients / windowMs) * 1000 : Number.POSITIVE_INFINITY;
  }

  /** Not waited for the load balancer when nobody is connected. */
  #closeSeconds(waiting: number): number {
    const detachSeconds = waiting > 0 ? this.#terms.drain.lbDetachMs / 1000 : 0;
    return Math.max(CLOSE_SECONDS, detachSeconds) + LOOK_SECONDS;
  }

  #begin(): void {
    const { atOnce, isTogether, beginSeconds = 0 } = this.#terms;
    const mayBegin = this.#now >= beginSeconds;
    const underWay = () => this.#closing.length + this.#closed.length + this.#asking.length + this.#ending.length;
    while (mayBegin && this.#waiting.length > 0 && (isTogether || underWay() < atOnce)) {
      const index = this.#waiting.shift() as number;
      const { waiting = 0, initial = 0 } = this.#clients[index] ?? {};
      const one = { index, waiting, perSecond: this.#pace(initial), deadlineAt: 0, needsPerSecond: 0 };
      this.#closing.push({ ...one, dueAt: this.#now + this.#closeSeconds(waiting) });
      if (!isTogether) this.#handOver(waiting);
    }
    if (isTogether && (this.#closing.length > 0 || this.#waiting.length > 0)) return;
    while (this.#closed.length > 0 && this.#asking.length < atOnce) {
      const one = this.#closed.shift() as Running;
      this.#ask({ ...one, deadlineAt: this.#now + this.#terms.drain.deadlineMs / 1000 });
    }
  }

  /** Those that leave later get their share of these clients. */
  #handOver(clients: number): void {
    const { stayers = Number.POSITIVE_INFINITY } = this.#terms;
    const share = clients / (stayers + this.#waiting.length);
    for (const index of this.#waiting) {
      const { waiting = 0, initial = 0 } = this.#clients[index] ?? {};
      this.#clients[index] = { waiting: waiting + share, initial: initial + share };
    }
  }

  #ask(one: Running): void {
    if (one.waiting > 0) this.#asking.push(one);
    else this.#end(one, TAIL_SECONDS + END_SECONDS);
  }

  #end(one: Running, afterSeconds: number): void {
    this.#ending.push({ ...one, dueAt: this.#now + afterSeconds });
  }

  /** What each that asks is asked per second, by the budget and its own window. */
  #speeds(): number[] {
    const needed = sum(this.#asking.map(({ needsPerSecond }) => needsPerSecond));
    const { maxPerSecond } = this.#terms.budget;
    const rate = Math.max(this.#rate * HANDED_OUT, Math.min(needed, maxPerSecond * HANDED_OUT));
    // Leases are shared by what each would be asked within a pass.
    const wishes = this.#asking.map(({ perSecond, waiting }) => Math.min(perSecond, waiting));
    const all = sum(wishes);
    const isShort = sum(this.#asking.map(({ perSecond }) => perSecond)) > rate;
    const shared = (at: number) => (rate * (wishes[at] ?? 0)) / all;
    return this.#asking.map(({ perSecond }, at) => (isShort ? Math.min(perSecond, shared(at)) : perSecond));
  }

  #isRising(): boolean {
    return this.#asking.length > 0 && this.#rate < this.#terms.budget.maxPerSecond;
  }

  /** @returns `undefined` when nothing changes any more */
  #untilNext(speeds: readonly number[]): number | undefined {
    const { drain, beginSeconds = 0 } = this.#terms;
    const changes = [
      ...(this.#waiting.length > 0 && this.#now < beginSeconds ? [beginSeconds - this.#now] : []),
      ...[...this.#closing, ...this.#ending].map(({ dueAt }) => dueAt - this.#now),
      ...this.#asking.flatMap(({ waiting, deadlineAt, needsPerSecond }, at) => [
        waiting / Math.max(Number.EPSILON, speeds[at] ?? 0),
        ...(drain.onDeadline === "Force" && needsPerSecond === 0 ? [deadlineAt - this.#now] : []),
      ]),
      ...(this.#isRising() ? [RATE_STEP_SECONDS] : []),
    ];
    const next = Math.min(Number.POSITIVE_INFINITY, ...changes);
    return Number.isFinite(next) ? Math.max(0, next) : undefined;
  }

  #advance(seconds: number, speeds: readonly number[]): void {
    this.#now += seconds;
    if (this.#isRising())
      this.#rate = Math.min(this.#terms.budget.maxPerSecond, this.#rate + raisePerSecond(this.#terms.budget) * seconds);
    const asked = this.#asking;
    this.#asking = [];
    for (const [at, one] of asked.entries()) this.#askFurther(one, one.waiting - (speeds[at] ?? 0) * seconds);
    const isDue = ({ dueAt }: Running) => dueAt <= this.#now + 1e-9;
    this.#closed.push(...this.#closing.filter(isDue));
    this.#closing = this.#closing.filter((one) => !isDue(one));
    for (const { index, dueAt } of this.#ending.filter(isDue)) this.#seconds[index] = dueAt;
    this.#ending = this.#ending.filter((one) => !isDue(one));
  }

  #askFurther(one: Running, waiting: number): void {
    const { drain, budget } = this.#terms;
    if (waiting < 1e-6) this.#end(one, TAIL_SECONDS + END_SECONDS);
    else if (drain.onDeadline === "Force" && one.needsPerSecond === 0 && one.deadlineAt <= this.#now + 1e-9) {
      const withinSeconds = Math.max(drain.deadlineMs / 1000, waiting / budget.maxPerSecond);
      this.#asking.push(forced({ ...one, waiting }, withinSeconds));
    } else this.#asking.push({ ...one, waiting });
  }
}

/** What is left is closed within that time, whatever its window says. */
function forced(one: Running, withinSeconds: number): Running {
  return { ...one, perSecond: Number.POSITIVE_INFINITY, needsPerSecond: one.waiting / Math.max(1, withinSeconds) };
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}
