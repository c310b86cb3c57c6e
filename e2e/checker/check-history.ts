// SPDX-License-Identifier: Apache-2.0
import { checkDivergent, checkDuplicate, checkLost, checkOrder, checkRealTime, checkUnexpected } from "./checks.ts";
import type { FinalState, HistoryEvent } from "./history.ts";
import { indexHistory } from "./index-history.ts";
import { CHECKS, type Check, type Violation } from "./violation.ts";

/** What a history holds, and how often each check was violated. */
export interface HistoryCounts {
  sends: number;
  acked: number;
  failed: number;
  /** Neither acknowledged nor failed: legal for both outcomes. */
  unknown: number;
  shown: number;
  devices: number;
  stored: number;
  faults: number;
  violations: Record<Check, number>;
}

export interface HistoryReport {
  /** The first {@link MAX_VIOLATIONS_PER_CHECK} of each check; `counts.violations` has all. */
  violations: Violation[];
  counts: HistoryCounts;
}

/** A broken run would otherwise list every message. */
export const MAX_VIOLATIONS_PER_CHECK = 50;

/** Checks C1-C6 over a whole history. Pure; O(n log n) in the number of events. */
export function checkHistory(events: readonly HistoryEvent[], final: FinalState): HistoryReport {
  const index = indexHistory(events, final);
  const violations: Violation[] = [];
  const counts: HistoryCounts = {
    sends: index.sends.size,
    acked: 0,
    failed: 0,
    unknown: 0,
    shown: 0,
    devices: index.devices.size,
    stored: final.stored?.length ?? 0,
    faults: 0,
    violations: Object.fromEntries(CHECKS.map((check) => [check, 0])) as Record<Check, number>,
  };
  for (const send of index.sends.values()) {
    if (send.acks.length > 0) counts.acked++;
    else if (send.hasFailed) counts.failed++;
    else counts.unknown++;
  }
  for (const event of events) {
    if (event.op === "receive") counts.shown++;
    if (event.op === "fault") counts.faults++;
  }
  const report = (violation: Violation): void => {
    if (++counts.violations[violation.check] <= MAX_VIOLATIONS_PER_CHECK) violations.push(violation);
  };
  checkLost(index, report);
  checkDuplicate(index, report);
  checkOrder(index, report);
  checkDivergent(index, report);
  checkUnexpected(index, report);
  checkRealTime(index, report);
  return { violations, counts };
}
