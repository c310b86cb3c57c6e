// SPDX-License-Identifier: Apache-2.0
import { describeExit, type ProcessExit } from "../harness/processes.ts";
import type { ServiceProcess } from "../harness/service-process.ts";

/** As long as a kubelet takes at the first time. */
const RESTART_DELAY_MS = 500;

/** The part of a process that is supervised. */
export type Supervised = Pick<ServiceProcess, "name" | "start" | "whenExited">;

/** Starts processes again that end by themselves, as the kubelet does: a fenced entry exits and comes back. */
export class Supervisor {
  readonly #onExit: (name: string, how: string) => void;
  readonly #held = new Map<Supervised, Promise<void>>();
  readonly #starting = new Map<Supervised, Promise<void>>();
  readonly #restartDelayMs: number;
  #isStopped = false;
  #restarts = 0;

  /** `onExit` is told of every process that ended by itself. */
  constructor(onExit: (name: string, how: string) => void, restartDelayMs = RESTART_DELAY_MS) {
    this.#onExit = onExit;
    this.#restartDelayMs = restartDelayMs;
  }

  /** Processes that ended by themselves and were started again. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Watches a process that runs; resolves when the supervisor is stopped. @throws Error when it cannot be started */
  async watch(service: Supervised): Promise<void> {
    while (!this.#isStopped) {
      const exit: ProcessExit = await service.whenExited();
      const held = this.#held.get(service);
      if (held) await held;
      else if (!this.#isStopped) await this.#restart(service, exit);
    }
  }

  /**
   * Somebody else ends this process and starts it again: resolves when no start of ours is under way, with what gives it
   * back after the start.
   */
  async hold(service: Supervised): Promise<() => void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#held.set(service, promise);
    // How it ended is told to whoever watches.
    await this.#starting.get(service)?.catch(() => undefined);
    return () => {
      this.#held.delete(service);
      resolve();
    };
  }

  /** Nothing is started any more. */
  stop(): void {
    this.#isStopped = true;
  }

  async #restart(service: Supervised, exit: ProcessExit): Promise<void> {
    this.#onExit(service.name, describeExit(exit));
    await new Promise((resolve) => setTimeout(resolve, this.#restartDelayMs));
    if (this.#isStopped || this.#held.has(service)) return;
    const start = service.start();
    this.#starting.set(service, start);
    try {
      await start;
    } finally {
      this.#starting.delete(service);
    }
    this.#restarts++;
  }
}
