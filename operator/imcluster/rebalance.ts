// SPDX-License-Identifier: Apache-2.0
import { isActive, type ObservedEntry } from "./observed.ts";
import type { DrainingEntry } from "./reconnect-budget.ts";

/** What it depends on. */
export interface RebalanceFacts {
  entries: readonly ObservedEntry[];
  revision: string;
  replicas: number;
  strategy: string;
  /** Entries may have so much more than the mean; `undefined`: nothing is done. */
  maxSkewPercent: number | undefined;
  /** Monotonic. */
  nowMs: number;
}

interface Share {
  /** To ask in all, and still. */
  initial: number;
  left: number;
  failures: number;
}

/** An entry that does not answer so often, or does not know the call, keeps its clients. */
const MAX_FAILURES = 10;
/** Clients of the last old entries have come by then, and all entries were asked since. */
const SETTLE_MS = 5_000;
/** Fewer clients are no burden. */
const MIN_EXCESS = 20;

/**
 * After an update in batches: the first new entries took over the clients of all that went after them. Kept in memory; lost with
 * the process, and nothing else.
 */
export class Rebalance {
  #wasUpdating = false;
  #stillSinceMs: number | undefined;
  readonly #shares = new Map<string, Share>();

  /** UIDs of entries whose clients are being asked. */
  get asking(): string[] {
    return [...this.#shares].flatMap(([uid, { left }]) => (left > 0 ? [uid] : []));
  }

  /** Once a pass. @returns whose clients are to be asked, as a drain would */
  look(facts: RebalanceFacts): DrainingEntry[] {
    const { entries, revision, strategy, maxSkewPercent, nowMs } = facts;
    const isUpdating = entries.some((entry) => !entry.isDead && entry.revision !== revision);
    if (isUpdating || maxSkewPercent === undefined) {
      this.#wasUpdating = isUpdating && strategy === "Batched" && maxSkewPercent !== undefined;
      return this.#wait();
    }
    // Whatever else happens to the fleet comes first, and moves clients by itself.
    if (!isStill(facts)) return this.#wait();
    this.#stillSinceMs ??= nowMs;
    if (this.#wasUpdating && nowMs - this.#stillSinceMs >= SETTLE_MS) {
      for (const [uid, excess] of excessOf(entries, maxSkewPercent)) this.#shares.set(uid, excess);
      this.#wasUpdating = false;
    }
    return [...this.#shares].map(([uid, { initial, left }]) => ({ uid, initial, waiting: left }));
  }

  #wait(): DrainingEntry[] {
    this.#stillSinceMs = undefined;
    this.#shares.clear();
    return [];
  }

  /** So many of its clients were asked. */
  asked(uid: string, clients: number): void {
    const share = this.#shares.get(uid);
    if (!share) return;
    share.left -= clients;
    if (share.left <= 0) this.#shares.delete(uid);
  }

  /** It did not answer. */
  failed(uid: string): void {
    const share = this.#shares.get(uid);
    if (share && ++share.failures >= MAX_FAILURES) this.#shares.delete(uid);
  }
}

/** All that are wanted serve, and say how many they have. */
function isStill({ entries, replicas }: RebalanceFacts): boolean {
  const isServing = (entry: ObservedEntry) => isActive(entry) && entry.isReady && entry.probe !== undefined;
  return entries.length === replicas && entries.every(isServing);
}

/** What is above the mean, of entries that have too much. Pure. */
export function excessOf(entries: readonly ObservedEntry[], maxSkewPercent: number): Map<string, Share> {
  const sessions = ({ probe }: ObservedEntry) => probe?.sessions ?? 0;
  const mean = entries.reduce((sum, entry) => sum + sessions(entry), 0) / Math.max(1, entries.length);
  const found = new Map<string, Share>();
  for (const entry of entries) {
    const excess = Math.floor(sessions(entry) - mean);
    if (excess < MIN_EXCESS || sessions(entry) <= mean * (1 + maxSkewPercent / 100)) continue;
    // Some of them come back to it: as many as to any other.
    const more = entries.length > 1 ? Math.floor((excess * entries.length) / (entries.length - 1)) : 0;
    const initial = Math.min(more, sessions(entry));
    if (initial > 0) found.set(entry.uid, { initial, left: initial, failures: 0 });
  }
  return found;
}
