// SPDX-License-Identifier: Apache-2.0
import { monotonicMs } from "../checker/history.ts";

const INTERVAL_MS = 200;
/** A logic may go by its last answer about a lease for this long. */
const CACHED_MS = 1000;

/** Options of {@link LeaseWatch}. */
export interface LeaseWatchOptions {
  /** Incarnation to the time its lease still has, ms. May reject while Redis is away. */
  leases: () => Promise<ReadonlyMap<string, number>>;
  nowMs?: () => number;
  intervalMs?: number;
}

interface Death {
  incarnation: string;
  atMs: number;
}

/**
 * How long killed entries count as online: from the kill until the lease of that incarnation is over and no logic
 * trusts an older answer. The time a lease has left is read with it, so that the figure does not depend on how often
 * it is looked at.
 */
export class LeaseWatch {
  readonly #options: LeaseWatchOptions;
  readonly #now: () => number;
  #known = new Set<string>();
  #dead: Death[] = [];
  #maxMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #round: Promise<void> = Promise.resolve();

  constructor(options: LeaseWatchOptions) {
    this.#options = options;
    this.#now = options.nowMs ?? monotonicMs;
  }

  /** Longest time so far in which a killed entry counted as online. */
  get fakeOnlineMaxMs(): number {
    return Math.round(this.#maxMs);
  }

  start(): void {
    const { intervalMs = INTERVAL_MS } = this.#options;
    this.#timer = setInterval(() => {
      this.#round = this.#round.then(() => this.look());
    }, intervalMs);
  }

  /** All incarnations of this pod that are known so far are dead from now on. */
  killed(podUid: string): void {
    const isDead = new Set(this.#dead.map(({ incarnation }) => incarnation));
    for (const incarnation of this.#known) {
      if (incarnation.startsWith(`${podUid}.`) && !isDead.has(incarnation))
        this.#dead.push({ incarnation, atMs: this.#now() });
    }
  }

  /** Reads the leases once. Redis may be away: then nobody counts as online by it, and the next look tells. */
  async look(): Promise<void> {
    let leases: ReadonlyMap<string, number>;
    try {
      leases = await this.#options.leases();
    } catch {
      return;
    }
    const nowMs = this.#now();
    for (const incarnation of leases.keys()) this.#known.add(incarnation);
    for (const { incarnation, atMs } of this.#dead) {
      const leftMs = leases.get(incarnation);
      if (leftMs !== undefined) this.#maxMs = Math.max(this.#maxMs, nowMs + leftMs + CACHED_MS - atMs);
    }
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#round;
  }
}
