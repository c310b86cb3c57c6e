// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { Router } from "./router.ts";

const POLL_MS = 500;
/** Announcing everything costs a full entry a second or two: for a mere suspicion, not more often than this. */
const SUSPICION_INTERVAL_MS = 10_000;

/** Options of {@link GenerationWatch}. */
export interface GenerationWatchOptions {
  router: Router;
  clock: Clock;
  /**
   * The router may have forgotten routes and answers now: let the entries announce theirs. `wasKnown`: of a memory that this process
   * saw, so not because the router was empty at the start.
   */
  onForgotten: (wasKnown: boolean) => void;
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
  #announcedAtMs = Number.NEGATIVE_INFINITY;
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

  /** Writes to the router, or their answers, were lost: let the entries announce as soon as it answers. */
  suspect(): void {
    this.#isSuspect = true;
  }

  /** Asked now: is it the memory that the last poll saw? Before the first there is nothing to compare with. Rejects with RETRYABLE while it is away. */
  async isSame(): Promise<boolean> {
    const { id, isNew } = await this.#options.router.generation();
    // One that was made by this very question is found by the next poll: its id is another.
    return this.#seen === undefined || (!isNew && id === this.#seen);
  }

  async #poll(): Promise<void> {
    try {
      const generation = await this.#options.router.generation();
      if (this.#isStopped) return;
      const wasKnown = this.#seen !== undefined;
      const hasForgotten =
        generation.isNew || (this.#seen ?? generation.id) !== generation.id || this.#isSuspicionDue();
      this.#seen = generation.id;
      this.#report(true);
      if (hasForgotten) {
        this.#isSuspect = false;
        this.#announcedAtMs = this.#options.clock.nowMs();
        this.#options.onForgotten(wasKnown);
      }
      this.#options.onAnswered?.();
    } catch {
      // Unreachable is a state here, not a fault. What was lost meanwhile shows in the next generation.
      this.#report(false);
    }
    if (!this.#isStopped) this.#cancel = this.#options.clock.after(POLL_MS, () => void this.#poll());
  }

  #isSuspicionDue(): boolean {
    return this.#isSuspect && this.#options.clock.nowMs() - this.#announcedAtMs >= SUSPICION_INTERVAL_MS;
  }

  #report(isReachable: boolean): void {
    if (this.#isReachable === isReachable) return;
    this.#isReachable = isReachable;
    this.#options.onReachable?.(isReachable);
  }
}
