// SPDX-License-Identifier: Apache-2.0

/** Time as a dependency. Decision code takes a Clock; only composition roots create {@link systemClock}. */
export interface Clock {
  /** Wall clock in ms since the epoch: for display and storage, never for deadlines. */
  wallMs(): number;
  /** Monotonic ms: for deadlines, leases and durations. */
  nowMs(): number;
  /** Runs `fn` once after `delayMs`; returns its canceller. */
  after(delayMs: number, fn: () => void): () => void;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  nowMs: () => performance.now(),
  after(delayMs, fn) {
    const timer = setTimeout(fn, delayMs);
    return () => clearTimeout(timer);
  },
};

interface Timer {
  atMs: number;
  order: number;
  fn: () => void;
}

/** A clock that moves only when told to; timers fire in (time, insertion) order during {@link advance}. */
export class FakeClock implements Clock {
  #nowMs: number;
  #order = 0;
  readonly #timers = new Set<Timer>();
  readonly #wallOffsetMs: number;

  constructor(startMs = 0, wallStartMs = 1_700_000_000_000) {
    this.#nowMs = startMs;
    this.#wallOffsetMs = wallStartMs - startMs;
  }

  wallMs(): number {
    return this.#nowMs + this.#wallOffsetMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, fn: () => void): () => void {
    const timer: Timer = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, fn };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Number of timers not yet fired or cancelled: a leak check for tests. */
  get pending(): number {
    return this.#timers.size;
  }

  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (let next = this.#due(untilMs); next; next = this.#due(untilMs)) {
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.fn();
    }
    this.#nowMs = untilMs;
  }

  #due(untilMs: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.atMs > untilMs) continue;
      if (!first || timer.atMs < first.atMs || (timer.atMs === first.atMs && timer.order < first.order)) first = timer;
    }
    return first;
  }
}
