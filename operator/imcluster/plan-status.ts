// SPDX-License-Identifier: Apache-2.0
import type { EntrySpec, EntryUpdateSpec, PlanStatus } from "../api/v1alpha1.ts";
import type { EntryPlanInput } from "./entry-plan.ts";
import { isActive, isLeaving, type ObservedEntry } from "./observed.ts";
import { estimateMove } from "./preview.ts";
import { durationMs } from "./units.ts";
import type { Gate } from "./update-gate.ts";

/** What is left of an update or a scaling of the entries; `undefined` when nothing is. Pure. */
export function remainingPlan(input: EntryPlanInput, gate: Gate, { update, drain }: EntrySpec): PlanStatus | undefined {
  const { replicas, revision } = input;
  const active = input.entries.filter(isActive);
  const leaving = input.entries.filter(isLeaving);
  const old = active.filter((entry) => entry.revision !== revision);
  const replaced = update.strategy === "OnDelete" ? [] : old;
  const surplus = active.slice(0, Math.max(0, active.length - replicas - replaced.length));
  const missing = Math.max(0, replicas - (active.length - replaced.length));
  const changes = [
    ...(replaced.length > 0 ? [`${entries(replaced.length)} of another revision to replace`] : []),
    ...(missing > 0 ? [`${entries(missing)} to make`] : []),
    ...(leaving.length + surplus.length > 0 ? [`${entries(leaving.length + surplus.length)} to drain`] : []),
  ];
  if (changes.length === 0) return undefined;
  const sessions = [...replaced, ...leaving, ...surplus].map(sessionsOf);
  const { seconds, peakPerSecond } = estimateMove({
    ...{ sessions, starts: missing, replicas, update: input.update, windowMs: input.drain.windowMs },
    maxPerSecond: drain.reconnectBudget.maxPerSecond,
  });
  return {
    changes,
    sessionsAffected: sessions.reduce((sum, count) => sum + count, 0),
    estimatedSeconds: seconds + soakSeconds(gate, update, input.nowMs),
    peakReconnectsPerSecond: peakPerSecond,
    needsApproval: gate.blockade?.reason === "ApprovalNeeded",
  };
}

const entries = (count: number) => `${count} ${count === 1 ? "entry" : "entries"}`;

function sessionsOf({ probe }: ObservedEntry): number {
  return probe?.sessions ?? 0;
}

/** What is left of the soak of a canary, in steps of ten seconds: each other figure is a write. */
function soakSeconds({ record }: Gate, { canary }: EntryUpdateSpec, nowMs: number): number {
  if (!canary || !record || !["Waiting", "Canary", "Soaking"].includes(record.phase)) return 0;
  const soakMs = durationMs(canary.soak);
  const doneMs = record.phase === "Soaking" ? nowMs - Date.parse(record.since ?? "") : 0;
  return Math.ceil(Math.max(0, soakMs - (doneMs || 0)) / 10_000) * 10;
}
