// SPDX-License-Identifier: Apache-2.0
import { checkBroadcast } from "./check-broadcast.ts";
import { checkChanges } from "./check-changes.ts";
import { checkGroups } from "./check-groups.ts";
import { checkLiveness } from "./check-liveness.ts";
import { checkNotify, type NotifyTimes } from "./check-notify.ts";
import { checkRouterRegister } from "./check-router.ts";
import { checkAuthorization, checkKicks, checkRevocation, checkSingleSession } from "./check-sessions.ts";
import { checkDivergent, checkDuplicate, checkLost, checkOrder, checkRealTime, checkUnexpected } from "./checks.ts";
import { type FaultClass, type FinalState, type HistoryEvent, RECALLED } from "./history.ts";
import { type IndexedHistory, indexHistory } from "./index-history.ts";
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
  /** Acknowledged ones that changed something. */
  recalls: number;
  edits: number;
  /** Groups that were made, and changes of them. */
  groups: number;
  groupChanges: number;
  broadcasts: number;
  violations: Record<Check, number>;
}

export interface HistoryReport {
  /** The first {@link MAX_VIOLATIONS_PER_CHECK} of each check; `counts.violations` has all. */
  violations: Violation[];
  counts: HistoryCounts;
  /** When `expectsNotice` was asked for. */
  notify?: NotifyTimes;
}

/** What a run was able to record. */
export interface CheckOptions {
  /** C7: pushes and acknowledgements are in the history, and everybody away is pushed to. */
  expectsNotice?: boolean;
  /** C7: no message is pushed twice, which faults would excuse. */
  arePushesSingle?: boolean;
  /** C7: the limit, without fault, for messages to somebody none of whose devices is connected. */
  awayLimitMs?: number;
  /** Other limits than {@link NOTIFY_LIMITS_MS}. */
  notifyLimitsMs?: Partial<Record<FaultClass, number>>;
  /** C7: time counts from the begin of a fault; for runs that keep their faults apart. */
  isNotifyStrict?: boolean;
  /** Users who are never pushed to, for want of a device. */
  unreachable?: ReadonlySet<string>;
}

/** A broken run would otherwise list every message. */
export const MAX_VIOLATIONS_PER_CHECK = 50;

/** Checks C1-C13 over a whole history. Pure; O(n log n) in the number of events. */
export function checkHistory(
  events: readonly HistoryEvent[],
  final: FinalState,
  options: CheckOptions = {},
): HistoryReport {
  const index = indexHistory(events, final);
  const violations: Violation[] = [];
  const counts = countsOf(index, final);
  const report = (violation: Violation): void => {
    if (++counts.violations[violation.check] <= MAX_VIOLATIONS_PER_CHECK) violations.push(violation);
  };
  const endMs = final.healed?.readAtMs ?? events.reduce((latest, { atMs }) => Math.max(latest, atMs), 0);
  checkLost(index, report);
  checkDuplicate(index, report);
  checkOrder(index, report);
  checkDivergent(index, report);
  checkUnexpected(index, report);
  checkRealTime(index, report);
  const notify = options.expectsNotice ? checkNotify(index, report, endMs, options) : undefined;
  checkSingleSession(index, report, endMs);
  checkKicks(index, report);
  checkBroadcast(index, report, endMs);
  checkAuthorization(index, report);
  checkGroups(index, report);
  checkChanges(index, report);
  checkRevocation(index, report);
  checkRouterRegister(index, report);
  if (final.healed) checkLiveness(index, final.healed, report);
  return notify ? { violations, counts, notify } : { violations, counts };
}

function countsOf(index: IndexedHistory, final: FinalState): HistoryCounts {
  const counts: HistoryCounts = {
    sends: index.sends.length,
    acked: 0,
    failed: 0,
    unknown: 0,
    shown: 0,
    devices: index.devices.length,
    stored: final.stored?.length ?? 0,
    faults: 0,
    ...{ recalls: 0, edits: 0, groups: 0, groupChanges: 0, broadcasts: 0 },
    violations: Object.fromEntries(CHECKS.map((check) => [check, 0])) as Record<Check, number>,
  };
  for (const send of index.sends) {
    if (send.acks.length > 0) counts.acked++;
    else if (send.hasFailed) counts.failed++;
    else counts.unknown++;
  }
  for (const view of index.devices) counts.shown += view.shown.length;
  countChat(index, counts);
  return counts;
}

function countChat(index: IndexedHistory, counts: HistoryCounts): void {
  for (const event of index.others) if (event.op === "fault") counts.faults++;
  const asked = index.others.filter((event) => event.op === "broadcast" && event.kind === "invoke");
  counts.broadcasts = new Set(asked.map((event) => event.op === "broadcast" && event.id)).size;
  for (const { event, send } of index.changes)
    if (send.acks.length > 0) counts[event.version === RECALLED ? "recalls" : "edits"]++;
  for (const { row } of index.stored ?? [])
    if (row.group) counts[row.group.kind === "created" ? "groups" : "groupChanges"]++;
}
