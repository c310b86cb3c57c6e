// SPDX-License-Identifier: Apache-2.0

/** Most users who are muted at a time: every logic keeps them all in memory. */
export const MAX_MUTED = 100_000;

/** A user who may not write for a while. */
export interface Mute {
  readonly userId: string;
  /** From now, by the store's clock; 0 or less: no more. */
  readonly leftMs: number;
  /** The store's, ms since 1970. */
  readonly untilMs: number;
  /** For the user. */
  readonly reason: string;
}

/** Mutes in the order in which they were made or changed. */
export interface MutePage {
  readonly mutes: readonly Mute[];
  /** Everything up to here is in this page or in one before. */
  readonly version: number;
  /** The last one that was given out; below one that was seen before, the database was restored to an older state. */
  readonly newest: number;
}

/** Who may not write for a while. Throws only ImError, as Store does. */
export interface MuteStore {
  /**
   * Mutes the user for so long from now, 0 = no more; the last word counts. May be repeated.
   * False: {@link MAX_MUTED} others are muted, and nothing was done.
   */
  set(userId: string, forMs: number, reason: string): Promise<boolean>;
  /** Undefined: it may write. */
  find(userId: string): Promise<Mute | undefined>;
  /** What was changed after `version`, in that order, at most `limit`. A page without any says that there is no more. */
  after(version: number, limit: number): Promise<MutePage>;
  /** Forgets some of those that were over a day ago; returns how many. */
  prune(limit: number): Promise<number>;
}

/** So long after its end a mute is kept: every logic has heard of its end by then. */
export const MUTE_KEEP_MS = 86_400_000;
