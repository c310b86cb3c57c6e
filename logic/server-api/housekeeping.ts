// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { PRUNE_ROWS, type ServerApiStore } from "../store/server-api-store.ts";

/** Half to one and a half of it lies between two rounds: processes take turns. */
const ROUND_MS = 60_000;
/** Bounds a round: what is left waits for the next one. */
const MAX_STEPS = 20;

/** What {@link Housekeeping} needs. */
export interface HousekeepingPorts {
  store: Pick<ServerApiStore, "prune">;
  auditKeepMs: number;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  onFault: (op: string, error: unknown) => void;
}

/** Forgets answers and audit entries whose time is over, some at a time. */
export class Housekeeping {
  readonly #ports: HousekeepingPorts;
  #isStopped = true;
  #cancel: () => void = () => undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(ports: HousekeepingPorts) {
    this.#ports = ports;
  }

  start(): void {
    this.#isStopped = false;
    this.#later();
  }

  /** Resolves when the running step, if any, is done. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel();
    await this.#running;
  }

  /** One round. Never rejects. */
  async round(): Promise<void> {
    const { store, auditKeepMs, onFault } = this.#ports;
    try {
      for (let step = 0; step < MAX_STEPS && !this.#isStopped; step++)
        if ((await store.prune(auditKeepMs)) < PRUNE_ROWS) return;
    } catch (error) {
      onFault("api housekeeping", error);
    }
  }

  #later(): void {
    if (this.#isStopped) return;
    const { clock, random } = this.#ports;
    this.#cancel = clock.after(ROUND_MS * (0.5 + random()), () => {
      this.#running = this.round().finally(() => this.#later());
    });
  }
}
