// SPDX-License-Identifier: Apache-2.0
import type { EntryUpdateSpec, PlanStatus } from "../api/v1alpha1.ts";
import type { Leaver } from "./drain-estimate.ts";
import { asDraining } from "./drain-watch.ts";
import type { EntryPlanInput } from "./entry-plan.ts";
import { compareVictims } from "./entry-rollout.ts";
import { estimateMove, roughSeconds } from "./move-estimate.ts";
import { isActive, isLeaving, type ObservedEntry } from "./observed.ts";
import type { BudgetLimits } from "./reconnect-rate.ts";
import { durationMs } from "./units.ts";
import type { Gate } from "./update-gate.ts";

/** What is left of an update, a scaling or a drain of the entries. */
export interface RemainingWork {
  /** `undefined` when nothing is left. */
  plan: PlanStatus | undefined;
  /** Until the pods that leave are let go, by UID. */
  etaSeconds: ReadonlyMap<string, number>;
}

/** What it takes besides the entries. */
export interface WorkTerms {
  update: EntryUpdateSpec;
  budget: BudgetLimits;
  /** What all drains together may ask at present; `undefined`: they begin anew. */
  ratePerSecond?: number | undefined;
}

/** What is left to do, and how long that takes if nobody suffers from it. Pure. */
export function remainingWork(input: EntryPlanInput, gate: Gate, terms: WorkTerms): RemainingWork {
  const { update, budget, ratePerSecond } = terms;
  const { replicas, revision, nowMs } = input;
  const { active, leaving } = split(input.entries);
  const old = active.filter((entry) => entry.revision !== revision);
  const replaced = update.strategy === "OnDelete" ? [] : old;
  const inOrder = [...active].sort((a, b) => compareVictims(a, b, revision));
  const surplus = inOrder
    .filter((entry) => !replaced.includes(entry))
    .slice(0, Math.max(0, active.length - replicas - replaced.length));
  const missing = Math.max(0, replicas - (active.length - replaced.length));
  const changes = [
    ...(replaced.length > 0 ? [`${entries(replaced.length)} of another revision to replace`] : []),
    ...(missing > 0 ? [`${entries(missing)} to make`] : []),
    ...(leaving.length + surplus.length > 0 ? [`${entries(leaving.length + surplus.length)} to drain`] : []),
  ];
  if (changes.length === 0) return { plan: undefined, etaSeconds: new Map() };
  const going = [...leaving, ...replaced, ...surplus];
  const isFresh = (entry: ObservedEntry) => entry.isReady && entry.revision === revision && !surplus.includes(entry);
  const { seconds, each, peakPerSecond } = estimateMove({
    leavers: going.map((entry) => leaverOf(entry, nowMs)),
    ...{ starts: missing, fresh: active.filter(isFresh).length, replicas, update: input.update },
    isUpdate: replaced.length > 0 || leaving.some(({ intent }) => intent?.reason === "Update"),
    ...{ drain: input.drain, budget, ratePerSecond },
  });
  return {
    plan: {
      changes,
      sessionsAffected: going.reduce((sum, { probe }) => sum + (probe?.sessions ?? 0), 0),
      estimatedSeconds: roughSeconds(seconds) + soakSeconds(gate, update, nowMs),
      peakReconnectsPerSecond: peakPerSecond,
      needsApproval: gate.blockade?.reason === "ApprovalNeeded",
    },
    etaSeconds: new Map(going.map(({ uid }, at) => [uid, roughSeconds(each[at] ?? 0)])),
  };
}

/** Those that stay, or go for the sake of others; and those that go anyway, the oldest drain first. */
function split(all: readonly ObservedEntry[]) {
  const isGoing = (entry: ObservedEntry) => isLeaving(entry) || (isActive(entry) && entry.cause !== undefined);
  const since = ({ intent }: ObservedEntry) => (intent ? Date.parse(intent.startedAt) : Number.MAX_SAFE_INTEGER);
  return {
    active: all.filter((entry) => isActive(entry) && entry.cause === undefined),
    leaving: all.filter(isGoing).sort((a, b) => since(a) - since(b)),
  };
}

function leaverOf(entry: ObservedEntry, nowMs: number): Leaver {
  const { initial, waiting } = asDraining(entry, nowMs);
  const { phase, deadline } = entry.intent ?? {};
  return { phase, leftMs: deadline ? Date.parse(deadline) - nowMs : 0, initial, waiting };
}

const entries = (count: number) => `${count} ${count === 1 ? "entry" : "entries"}`;

/** What is left of the soak of a canary, in steps of ten seconds: each other figure is a write. */
function soakSeconds({ record }: Gate, { canary }: EntryUpdateSpec, nowMs: number): number {
  if (!canary || !record || !["Waiting", "Canary", "Soaking"].includes(record.phase)) return 0;
  const soakMs = durationMs(canary.soak);
  const doneMs = record.phase === "Soaking" ? nowMs - Date.parse(record.since ?? "") : 0;
  return Math.ceil(Math.max(0, soakMs - (doneMs || 0)) / 10_000) * 10;
}
