// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { Random } from "./random.ts";

/** The real one, taken before the world is sealed: it lets promises settle between two events. */
const realImmediate = setImmediate;

/** One process of the simulated fleet. A dead one runs nothing any more; a paused one runs later. */
export class Proc {
  readonly name: string;
  isDead = false;
  /** Nothing runs before (SIGSTOP). */
  pausedUntilMs = 0;
  /** How far its wall clock is off. */
  wallSkewMs = 0;

  constructor(name: string) {
    this.name = name;
  }
}

interface Scheduled {
  atMs: number;
  order: number;
  proc: Proc | undefined;
  fn: (() => void) | undefined;
}

/** 2023-11-14: the wall clock when virtual time is 0. */
export const WALL_START_MS = 1_700_000_000_000;

/** Virtual time is a multiple of a power of two: sums and differences of times are exact. */
const TICKS_PER_MS = 64;
/** A run may not take more steps than this: something goes round in circles. */
const MAX_STEPS = 2_000_000;
/** Steps in one turn of the real event loop. */
const MAX_TURNS = 64;

/**
 * Virtual time and all that happens in it, in one order that depends on the seed alone. Every callback belongs to a
 * process, and whatever it starts (timers, deferred work) belongs to the same one.
 */
export class Kernel {
  readonly seed: number;
  /** Of whatever asks Math.random, and of the network. */
  readonly random: Random;
  /** Things that must not happen in a simulation. */
  readonly breaches: string[] = [];
  nowMs = 0;
  steps = 0;
  current: Proc | undefined;
  readonly #heap: Scheduled[] = [];
  #order = 0;

  constructor(seed: number) {
    this.seed = seed;
    this.random = new Random(seed, "kernel");
  }

  get wallMs(): number {
    return WALL_START_MS + this.nowMs;
  }

  /** Runs `fn` for `proc` after `delayMs` of virtual time; returns its canceller. */
  after(delayMs: number, proc: Proc | undefined, fn: () => void): () => void {
    const delay = Math.ceil(Math.max(0, delayMs || 0) * TICKS_PER_MS) / TICKS_PER_MS;
    const item: Scheduled = { atMs: this.nowMs + delay, order: this.#order++, proc, fn };
    this.#push(item);
    return () => {
      item.fn = undefined;
    };
  }

  /** Runs `fn` in a later turn of the process that runs now. */
  readonly defer = (fn: () => void): void => {
    this.after(0, this.current, fn);
  };

  clockOf(proc: Proc): Clock {
    return {
      wallMs: () => this.wallMs + proc.wallSkewMs,
      nowMs: () => this.nowMs,
      after: (delayMs, fn) => this.after(delayMs, proc, fn),
    };
  }

  sleep(delayMs: number, proc: Proc | undefined = undefined): Promise<void> {
    return new Promise((resolve) => void this.after(delayMs, proc, resolve));
  }

  breach(what: string): void {
    if (this.breaches.length < 20 && !this.breaches.includes(what)) this.breaches.push(what);
  }

  /** Lets time pass until `untilMs`, or until `isDone` holds. */
  run(untilMs: number, isDone: () => boolean = () => false): Promise<void> {
    return new Promise((resolve, reject) => {
      let isOver = false;
      let turns = 1;
      let left = 0;
      const end = (finish: () => void): void => {
        isOver = true;
        finish();
      };
      // Between two callbacks of setImmediate promises settle; many of them share one turn of the real event loop.
      const turn = (): void => {
        if (isOver) return;
        this.current = undefined;
        try {
          if (isDone() || !this.#step(untilMs)) end(resolve);
        } catch (error) {
          end(() => reject(error));
        }
        if (--left <= 0) schedule();
      };
      const schedule = (): void => {
        if (isOver) return;
        left = turns;
        for (let i = 0; i < left; i++) realImmediate(turn);
        turns = Math.min(turns * 2, MAX_TURNS);
      };
      schedule();
    });
  }

  /** Runs what comes next; false when nothing does until then. */
  #step(untilMs: number): boolean {
    for (;;) {
      const next = this.#heap[0];
      if (!next || next.atMs > untilMs) {
        this.nowMs = Math.max(this.nowMs, untilMs);
        return false;
      }
      this.#pop();
      if (!next.fn || next.proc?.isDead) continue;
      this.nowMs = Math.max(this.nowMs, next.atMs);
      const { proc } = next;
      if (proc && proc.pausedUntilMs > this.nowMs) {
        next.atMs = proc.pausedUntilMs;
        this.#push(next);
        continue;
      }
      if (++this.steps > MAX_STEPS) throw new Error(`more than ${MAX_STEPS} steps: it never comes to rest`);
      this.current = proc;
      try {
        next.fn();
      } catch (error) {
        this.breach(`${proc?.name ?? "world"} threw: ${error instanceof Error ? error.stack : String(error)}`);
      }
      return true;
    }
  }

  #push(item: Scheduled): void {
    const heap = this.#heap;
    let at = heap.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(item, heap[parent] as Scheduled)) break;
      heap[at] = heap[parent] as Scheduled;
      at = parent;
    }
    heap[at] = item;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Scheduled;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= heap.length) break;
      const right = left + 1;
      const child = right < heap.length && isBefore(heap[right] as Scheduled, heap[left] as Scheduled) ? right : left;
      if (!isBefore(heap[child] as Scheduled, last)) break;
      heap[at] = heap[child] as Scheduled;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Scheduled, b: Scheduled): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
