// SPDX-License-Identifier: Apache-2.0
import type { GapPolicy } from "../store/store.ts";
import { PAGE_EVENTS } from "./page-limits.ts";

/** When a device that was away is given conversation heads rather than every event: see {@link gapPolicy}. */
export interface GapLimits {
  /** More missing events than this. */
  maxEvents: number;
  /** More than one page, of which the oldest is older than this. */
  maxAgeMs: number;
}

/** The limits as the store takes them, at wall clock time `nowMs`. */
export function gapPolicy({ maxEvents, maxAgeMs }: GapLimits, nowMs: number): GapPolicy {
  return { maxEvents, keepEvents: Math.min(maxEvents, PAGE_EVENTS.byDefault), oldestMs: nowMs - maxAgeMs };
}
