// SPDX-License-Identifier: Apache-2.0
import type { EntryAutoscalingSpec } from "../api/v1alpha1.ts";
import { isOpen, windowFault } from "./cron-window.ts";
import { durationMs } from "./units.ts";

/** What a schedule will ask for counts this long before it begins, so that pods are there in time. */
export const AHEAD_MS = 300_000;
/** Without a complete observation for this long, nothing is known of the time before. */
export const GAP_MS = 60_000;
const HOUR_MS = 3_600_000;
/** Of the present entries, how many may go in one step. */
const STEP_SHARE = 0.25;

/** What must be remembered between decisions. Losing it only delays the next scale-down by the stabilisation. */
export interface ScalingHistory {
  /** Observations are complete since then. */
  sinceMs: number;
  /** Last complete one. */
  lastMs: number;
  /** What was needed, newest last, each less than the one before: older and smaller ones no longer matter. */
  peaks: readonly { atMs: number; needed: number }[];
  /** Scale-downs of the last hour. */
  downs: readonly { atMs: number; pods: number }[];
}

export interface ScalingInput {
  spec: EntryAutoscalingSpec;
  /** What was wanted last. */
  current: number;
  /** Connections that one entry accepts. */
  connectionsPerPod: number;
  /** On all entries, also on those that leave: their clients come back to the others. */
  connections: number;
  /** Every entry told its connections; else there are at least so many. */
  isComplete: boolean;
  /** Entries come, leave, are too many or of an old revision: what was decided before is not done. */
  isMoving: boolean;
  /** Drains for scale-down that began within the last hour, as the status tells, which outlives this process. */
  goneLately: number;
  history: ScalingHistory | undefined;
  /** Wall clock. */
  nowMs: number;
}

export interface ScalingDecision {
  /** Within min and max: how many entries there should be now. */
  desired: number;
  /** How many would be needed without min and max; `undefined` when no policy counts now. */
  needed: number | undefined;
  /** What is wrong with schedules, a sentence each. */
  faults: readonly string[];
  history: ScalingHistory;
}

/**
 * How many entries there should be. Pure. More at once; fewer only after fewer were enough for the whole stabilisation, not
 * while entries leave or are replaced, a quarter at a time, and not faster than the spec allows.
 */
export function desiredReplicas(input: ScalingInput): ScalingDecision {
  const { spec } = input;
  const needed = neededNow(input);
  const current = clamp(input.current, spec);
  const history = remember(input, needed === undefined ? current : clamp(needed, spec));
  const decided = { needed, faults: faultsOf(spec), history };
  if (needed === undefined) return { ...decided, desired: current };
  const wanted = clamp(needed, spec);
  if (wanted >= current) return { ...decided, desired: wanted };
  const fewer = current - mayGo(input, current, history);
  if (fewer === current) return { ...decided, desired: current };
  const downs = [...history.downs, { atMs: input.nowMs, pods: current - fewer }];
  return { ...decided, desired: fewer, history: { ...history, downs } };
}

/** How many entries may go now, 0 or more. */
function mayGo(input: ScalingInput, current: number, history: ScalingHistory): number {
  const { spec, nowMs, isComplete, isMoving, goneLately } = input;
  const isKnown = nowMs - history.sinceMs >= durationMs(spec.scaleDown.stabilization);
  if (!isComplete || isMoving || !isKnown) return 0;
  const excess = current - Math.max(...history.peaks.map(({ needed }) => needed));
  const gone = history.downs.reduce((sum, { pods }) => sum + pods, 0);
  const left = spec.scaleDown.maxPodsPerHour - Math.max(gone, goneLately);
  return Math.max(0, Math.min(excess, left, Math.ceil(current * STEP_SHARE)));
}

/** By the policy that counts now and the one that soon will. */
function neededNow(input: ScalingInput): number | undefined {
  const { spec, nowMs } = input;
  const now = neededAt(input, policyAt(spec, nowMs));
  const soon = neededAt(input, policyAt(spec, nowMs + AHEAD_MS));
  return now === undefined ? soon : Math.max(now, soon ?? 0);
}

type Policy = EntryAutoscalingSpec["policies"][number];

function policyAt({ policies }: EntryAutoscalingSpec, atMs: number): Policy | undefined {
  return policies.find(({ schedule }) => !schedule || isOpen(schedule, atMs));
}

function neededAt({ connections, connectionsPerPod }: ScalingInput, policy: Policy | undefined): number | undefined {
  if (!policy) return undefined;
  const { freeConnections } = policy.buffer;
  // In whole numbers: a rounding error would be a pod.
  const pods =
    typeof freeConnections === "number"
      ? Math.ceil((connections + freeConnections) / connectionsPerPod)
      : Math.ceil((connections * 100) / (connectionsPerPod * (100 - Number.parseInt(freeConnections, 10))));
  return Math.max(1, pods);
}

function remember({ history, spec, isComplete, nowMs }: ScalingInput, needed: number): ScalingHistory {
  const downs = (history?.downs ?? []).filter(({ atMs }) => nowMs - atMs < HOUR_MS);
  const isBroken = !history || nowMs - history.lastMs > GAP_MS || nowMs < history.lastMs;
  if (!isComplete) {
    return isBroken ? { sinceMs: nowMs, lastMs: nowMs, peaks: [], downs } : { ...history, downs };
  }
  const sinceMs = isBroken ? nowMs : history.sinceMs;
  const fromMs = nowMs - durationMs(spec.scaleDown.stabilization);
  const peaks = (isBroken ? [] : history.peaks).filter((peak) => peak.atMs > fromMs && peak.needed > needed);
  return { sinceMs, lastMs: nowMs, peaks: [...peaks, { atMs: nowMs, needed }], downs };
}

function faultsOf({ policies }: EntryAutoscalingSpec): string[] {
  return policies.flatMap(({ schedule }, index) => {
    const fault = schedule && windowFault(schedule);
    return fault ? [`spec.entry.autoscaling.policies[${index}].schedule never counts: ${fault}`] : [];
  });
}

function clamp(count: number, { min, max }: EntryAutoscalingSpec): number {
  return Math.min(max, Math.max(min, count));
}
