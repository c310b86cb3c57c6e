// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { FairLanes } from "./fair-lanes.ts";

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
 * SQL. Tenants take turns, and none may fill what may wait. A job handles its own faults; `shed` is called instead of it, never after it.
 */
export class Gate {
  readonly #options: GateOptions;
  readonly #waiting: FairLanes<Waiting>;
  #running = 0;

  constructor(options: GateOptions) {
    this.#options = options;
    this.#waiting = new FairLanes(options.maxWaiting);
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** @param tenant whose job it is; see `tenantOf` */
  enter(job: () => Promise<void>, shed: () => void, tenant = ""): void {
    if (this.#running < this.#options.maxRunning) {
      this.#run(job);
      return;
    }
    const sinceMs = this.#options.clock.nowMs();
    if (!this.#waiting.push(tenant, { job, shed, sinceMs }, sinceMs)) shed();
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
    while (this.#running < this.#options.maxRunning) {
      const next = this.#waiting.shift();
      if (!next) return;
      if (next.sinceMs < oldestMs) next.shed();
      else this.#run(next.job);
    }
  }
}
