// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { Rounds } from "../rounds.ts";
import { PRUNE_ROWS, type ServerApiStore } from "../store/server-api-store.ts";

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
  readonly #rounds: Rounds;

  constructor(ports: HousekeepingPorts) {
    this.#ports = ports;
    const { clock, random } = ports;
    this.#rounds = new Rounds({ everyMs: ROUND_MS, round: () => this.round(), clock, random });
  }

  start(): void {
    this.#rounds.start();
  }

  /** Resolves when the running step, if any, is done. */
  stop(): Promise<void> {
    return this.#rounds.stop();
  }

  /** One round. Never rejects. */
  async round(): Promise<void> {
    const { store, auditKeepMs, onFault } = this.#ports;
    try {
      for (let step = 0; step < MAX_STEPS && !this.#rounds.isStopped; step++)
        if ((await store.prune(auditKeepMs)) < PRUNE_ROWS) return;
    } catch (error) {
      onFault("api housekeeping", error);
    }
  }
}
