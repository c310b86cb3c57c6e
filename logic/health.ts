// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";

const POLL_MS = 2000;

/** Asks a dependency every 2 s whether it answers; for readiness. */
export class HealthPoll {
  readonly #ping: () => Promise<unknown>;
  readonly #clock: Clock;
  #isHealthy = false;
  #isStopped = false;
  #cancel: (() => void) | undefined;

  constructor(ping: () => Promise<unknown>, clock: Clock) {
    this.#ping = ping;
    this.#clock = clock;
  }

  get isHealthy(): boolean {
    return this.#isHealthy;
  }

  /** Resolves after the first answer. */
  async start(): Promise<void> {
    try {
      await this.#ping();
      this.#isHealthy = true;
    } catch {
      // Its own calls report the fault; here it is only a state.
      this.#isHealthy = false;
    }
    if (!this.#isStopped) this.#cancel = this.#clock.after(POLL_MS, () => void this.start());
  }

  stop(): void {
    this.#isStopped = true;
    this.#isHealthy = false;
    this.#cancel?.();
  }
}
