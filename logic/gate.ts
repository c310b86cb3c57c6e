// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";

/** Options of {@link Gate}. */
export interface GateOptions {
  clock: Clock;
  /** Jobs that run at the same time. */
  maxRunning: number;
  /** Jobs that may wait; more are shed. */
  maxWaiting: number;
  /** A job that waited longer is shed instead of started: its client has given up or retries. */
  maxWaitMs: number;
}

interface Waiting {
  job: () => Promise<void>;
  shed: () => void;
  sinceMs: number;
}

/**
 * Bounds how many slow jobs (logins, pulls) a process has in hand, so that overload is answered before it costs
 * SQL. A job handles its own faults; `shed` is called instead of it, never after it.
 */
export class Gate {
  readonly #options: GateOptions;
  readonly #waiting: Waiting[] = [];
  #head = 0;
  #running = 0;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.length - this.#head;
  }

  enter(job: () => Promise<void>, shed: () => void): void {
    if (this.#running < this.#options.maxRunning) this.#run(job);
    else if (this.waiting < this.#options.maxWaiting)
      this.#waiting.push({ job, shed, sinceMs: this.#options.clock.nowMs() });
    else shed();
  }

  #run(job: () => Promise<void>): void {
    this.#running++;
    void job().finally(() => {
      this.#running--;
      this.#next();
    });
  }

  #next(): void {
    const oldestMs = this.#options.clock.nowMs() - this.#options.maxWaitMs;
    while (this.#head < this.#waiting.length && this.#running < this.#options.maxRunning) {
      const next = this.#waiting[this.#head++];
      if (!next) continue;
      if (next.sinceMs < oldestMs) next.shed();
      else this.#run(next.job);
    }
    if (this.#head > 256 && this.#head * 2 > this.#waiting.length) {
      this.#waiting.splice(0, this.#head);
      this.#head = 0;
    }
  }
}
