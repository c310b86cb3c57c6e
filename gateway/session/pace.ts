// SPDX-License-Identifier: Apache-2.0

/** A rate with a burst, for {@link paceAfter}. */
export interface Pace {
  perSecond: number;
  burst: number;
}

/**
 * A token bucket in one number: the time until which what was taken is paid for (generic cell rate algorithm).
 * @param paidMs as the last call returned it; 0 at first
 * @returns the new number; {@link overdueMs} says whether that is too much
 */
export function paceAfter(pace: Pace, paidMs: number, count: number, nowMs: number): number {
  return Math.max(paidMs, nowMs) + (count * 1000) / pace.perSecond;
}

/** Ms until this bucket is back within its burst; 0 or less: it is. */
export function overdueMs(pace: Pace, paidMs: number, nowMs: number): number {
  return paidMs - nowMs - (pace.burst * 1000) / pace.perSecond;
}
