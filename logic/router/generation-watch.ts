// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { Router } from "./router.ts";

const POLL_MS = 500;

/** Options of {@link GenerationWatch}. */
export interface GenerationWatchOptions {
  router: Router;
  clock: Clock;
  /** The router may have forgotten routes and answers now: let the entries announce theirs. */
  onForgotten: () => void;
  /** The router answers: after each successful poll. */
  onAnswered?: () => void;
  /** Reachable or not, at each change. */
  onReachable?: (isReachable: boolean) => void;
}

/** Polls the router's generation twice a second. One instance per logic process. */
export class GenerationWatch {
  readonly #options: GenerationWatchOptions;
  #seen: string | undefined;
  #isSuspect = false;
  #isReachable: boolean | undefined;
  #cancel: (() => void) | undefined;
  #isStopped = false;

  constructor(options: GenerationWatchOptions) {
    this.#options = options;
  }

  /** First poll at once; resolves when it is answered. */
  async start(): Promise<void> {
    await this.#poll();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel?.();
  }

  /** Writes to the router were lost: let the entries announce as soon as it answers. */
  suspect(): void {
    this.#isSuspect = true;
  }

  async #poll(): Promise<void> {
    try {
      const generation = await this.#options.router.generation();
      if (this.#isStopped) return;
      const hasForgotten = this.#isSuspect || generation.isNew || (this.#seen ?? generation.id) !== generation.id;
      this.#seen = generation.id;
      this.#isSuspect = false;
      this.#report(true);
      if (hasForgotten) this.#options.onForgotten();
      this.#options.onAnswered?.();
    } catch {
      // Unreachable is a state here, not a fault. What was lost meanwhile shows in the next generation.
      this.#report(false);
    }
    if (!this.#isStopped) this.#cancel = this.#options.clock.after(POLL_MS, () => void this.#poll());
  }

  #report(isReachable: boolean): void {
    if (this.#isReachable === isReachable) return;
    this.#isReachable = isReachable;
    this.#options.onReachable?.(isReachable);
  }
}
