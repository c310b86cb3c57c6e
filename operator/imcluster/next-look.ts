// SPDX-License-Identifier: Apache-2.0
import type { PassResult } from "./executor.ts";

/** What the last passes had in common. */
export interface Streak {
  /** Passes with writes, one right after the other. */
  busy: number;
  /** Passes in which something failed, one after the other. */
  failed: number;
}

export const NO_STREAK: Streak = { busy: 0, failed: 0 };

/** Looked at this often without any event: sessions, certificates and Secrets are polled. */
const RESYNC_MS = 10_000;
/** Passes with writes that follow each other at once; more than a creation or a rollout step ever needs. */
const FREE_PASSES = 20;
const BUSY_BASE_MS = 100;
const BUSY_MAX_MS = 30_000;
/** What failed is tried again after this, and later each time that something fails again. */
const FAILED_MS = 500;
const MAX_DOUBLINGS = 10;

type Result = Pick<PassResult, "hasProgress" | "errors" | "waitMs" | "pauseMs">;

/** Pure. */
export function streakAfter({ busy, failed }: Streak, { hasProgress, errors }: Result): Streak {
  return { busy: hasProgress ? busy + 1 : 0, failed: errors.length > 0 ? failed + 1 : 0 };
}

/**
 * After writes at once, because the next step often only waits for them; later when that never ends, or when the same fails again
 * and again. Pure.
 *
 * @param streak this pass included
 */
export function nextLookMs({ busy, failed }: Streak, { hasProgress, waitMs, pauseMs }: Result): number {
  if (pauseMs !== undefined) return pauseMs;
  if (hasProgress) {
    const excess = busy - FREE_PASSES;
    return excess <= 0 ? 0 : Math.min(BUSY_MAX_MS, waitMs ?? BUSY_MAX_MS, doubled(BUSY_BASE_MS, excess));
  }
  const failedMs = failed > 0 ? doubled(FAILED_MS, failed - 1) : RESYNC_MS;
  return Math.min(waitMs ?? RESYNC_MS, failedMs, RESYNC_MS);
}

function doubled(baseMs: number, times: number): number {
  return baseMs * 2 ** Math.min(times, MAX_DOUBLINGS);
}
