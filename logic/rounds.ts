// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";

/** What {@link Rounds} needs. */
export interface RoundsPorts {
  /** Half to one and a half of it lies between two rounds: processes take turns. */
  everyMs: number;
  /** Must not reject. */
  round: () => Promise<void>;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
}

/** Work that comes round from time to time, never twice at once. */
export class Rounds {
  readonly #ports: RoundsPorts;
  #isStopped = true;
  #cancel: () => void = () => undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(ports: RoundsPorts) {
    this.#ports = ports;
  }

  /** A round that runs should end soon. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  start(): void {
    this.#isStopped = false;
    this.#later();
  }

  /** Resolves when the running round, if any, is done. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel();
    await this.#running;
  }

  #later(): void {
    if (this.#isStopped) return;
    const { clock, random, everyMs, round } = this.#ports;
    this.#cancel = clock.after(everyMs * (0.5 + random()), () => {
      this.#running = round().finally(() => this.#later());
    });
  }
}
