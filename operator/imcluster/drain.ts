// SPDX-License-Identifier: Apache-2.0
import type { EntryProbe } from "./observed.ts";

/** In order; the operator only ever goes forward, except that a drain may be aborted before {@link isRevocable} ends. */
export const DRAIN_PHASES = [
  "Planned",
  "Cordoned",
  "LbDetaching",
  "Draining",
  "Forcing",
  "Purging",
  "Verifying",
  "Released",
] as const;
export type DrainPhase = (typeof DRAIN_PHASES)[number];

export const DRAIN_REASONS = [
  /** Fewer are wanted. */
  "ScaleDown",
  /** It is of an older revision. */
  "Update",
  /** Its node is being emptied. */
  "NodeDrain",
  /** Somebody asked to evict it. */
  "Evicted",
  /** A person asked for it. */
  "Manual",
  /** A person says that it must not serve any more: its routes go at once. */
  "Fenced",
  /** Its pod was deleted by somebody else. */
  "PodDeleted",
  "Failed",
  "NodeLost",
] as const;
export type DrainReason = (typeof DRAIN_REASONS)[number];

const PLANNED: ReadonlySet<string> = new Set(["ScaleDown", "Update", "NodeDrain", "Evicted", "Manual", "Fenced"]);

/** Did the operator itself end the pod, after a drain, or a person order its end? Its routes go without further question. */
export function isPlanned(reason: DrainReason): boolean {
  return PLANNED.has(reason);
}

/** What a drain came to. Counts are of sessions. */
export interface DrainReport {
  initial: number;
  asked: number;
  forced: number;
  /** Of those asked or forced: at another entry now, or nowhere. `undefined` when the entry did not say who they were. */
  returned?: number;
  absent?: number;
  /** From the end of the old connection to the new login; moves that overlap count as 0. Unknown with the others. */
  offlineP50Ms?: number;
  offlineP99Ms?: number;
  /** Routes that still pointed at the pod when counted for the second time; `undefined` when nobody could count. */
  routesLeft?: number;
}

/** Content of the annotation `imcluster.io/drain` of an entry pod. Survives restarts of the operator and of the entry. */
export interface DrainIntent {
  id: string;
  reason: DrainReason;
  phase: DrainPhase;
  /** RFC 3339. */
  startedAt: string;
  /** RFC 3339: the present phase ends then at the latest. */
  deadline: string;
  /** Since Released, when the pod had served. */
  report?: DrainReport;
}

export type DeadlinePolicy = "Force" | "Hold";

export interface DrainLimits {
  /** GOAWAYs are spread over this. */
  windowMs: number;
  /** Connections still open after this are closed, or stay: see {@link onDeadline}. */
  deadlineMs: number;
  onDeadline: DeadlinePolicy;
  /** New connections still arrive for that long after the entry was cordoned. */
  lbDetachMs: number;
  /** Clients that all drains together ask to reconnect, or close, at the most. Default: as many as there are. */
  maxPerSecond?: number;
}

/** A replacement is waited for this long; then somebody who insists gets the pod all the same. */
export const PLANNED_DEADLINE_MS = 120_000;
/** Readiness probe and EndpointSlice have taken the pod out after this; an unreachable pod is given up then. */
export const CORDON_DEADLINE_MS = 10_000;
/** On top of the time in which the rest is closed: for an entry that closes it by itself, or is slow to say so. */
export const FORCE_DEADLINE_MS = 8_000;
/** Without any logic pod that could purge: routes of the pod die with its lease anyway. */
export const PURGE_DEADLINE_MS = 60_000;
/** Clients that are not back at another entry by then are reported as absent. */
export const VERIFY_DEADLINE_MS = 10_000;

/** `undefined` for anything that is not an intent of this operator. */
export function parseIntent(text: string | undefined): DrainIntent | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isIntent(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isIntent(value: unknown): value is DrainIntent {
  if (typeof value !== "object" || value === null) return false;
  const { id, reason, phase, startedAt, deadline } = value as Record<string, unknown>;
  const isTime = (time: unknown) => typeof time === "string" && !Number.isNaN(Date.parse(time));
  const isKnownPhase = DRAIN_PHASES.some((known) => known === phase);
  return typeof id === "string" && typeof reason === "string" && isKnownPhase && isTime(startedAt) && isTime(deadline);
}

/** @param id unique; the entry uses it to tell a repeated call from a new drain */
export function newIntent(id: string, reason: DrainReason, phase: DrainPhase, nowMs: number): DrainIntent {
  const startedAt = new Date(nowMs).toISOString();
  return { id, reason, phase, startedAt, deadline: startedAt };
}

/** The intent in another phase, with the deadline of that phase. @param left connections to close, if it comes to that */
export function inPhase(
  intent: DrainIntent,
  phase: DrainPhase,
  limits: DrainLimits,
  nowMs: number,
  left = 0,
): DrainIntent {
  return { ...intent, phase, deadline: new Date(deadlineMs(intent, phase, limits, nowMs, left)).toISOString() };
}

function deadlineMs(intent: DrainIntent, phase: DrainPhase, limits: DrainLimits, nowMs: number, left: number): number {
  switch (phase) {
    case "Planned":
      return nowMs + PLANNED_DEADLINE_MS;
    case "Cordoned":
      return nowMs + CORDON_DEADLINE_MS;
    case "LbDetaching": {
      // Counted from when the entry was cordoned: load balancers began to notice then.
      const cordonedMs = intent.phase === "Cordoned" ? Date.parse(intent.deadline) - CORDON_DEADLINE_MS : nowMs;
      return Math.max(nowMs, Math.min(nowMs, cordonedMs) + limits.lbDetachMs);
    }
    case "Draining":
      return nowMs + limits.deadlineMs;
    case "Forcing":
      return nowMs + closeMs(left, limits) + FORCE_DEADLINE_MS;
    case "Purging":
      return nowMs + PURGE_DEADLINE_MS;
    case "Verifying":
      return nowMs + VERIFY_DEADLINE_MS;
    case "Released":
      return nowMs;
  }
}

/** What is left is closed within the deadline once more, unless that would be faster than the budget ever allows. */
function closeMs(left: number, { deadlineMs: againMs, maxPerSecond = Number.POSITIVE_INFINITY }: DrainLimits): number {
  return left > 0 ? Math.max(againMs, (left / maxPerSecond) * 1000) : 0;
}

/** No client was told anything yet: the pod could go on as if nothing had been. */
export function isRevocable({ phase }: DrainIntent): boolean {
  return phase === "Planned" || phase === "Cordoned" || phase === "LbDetaching";
}

/** Its clients are gone, one way or the other. */
export function isPastDrain({ phase }: DrainIntent): boolean {
  return phase === "Purging" || phase === "Verifying" || phase === "Released";
}

/** What the state machine may know of a pod. */
export interface DrainView {
  intent: DrainIntent;
  /** Its container runs, or may run for all we know. */
  isAlive: boolean;
  isReady: boolean;
  /** A container of it has run at some time, so it may have routes. */
  hasStarted: boolean;
  /** Last answer of the entry; `undefined` when it did not answer. */
  probe: EntryProbe | undefined;
  /** In phase Forcing: the operator was there to have everything closed. A deadline that passed while it stood still was no time. */
  hadClosingTime: boolean;
  /** Enough others are ready to take its clients. */
  mayLeave: boolean;
  /** Why it has to go at present, when that is somebody's wish. */
  cause?: DrainReason | undefined;
  /** Logic said that no route is left. */
  isPurged: boolean;
  /** The routes were counted again, and who was asked is known to be back, as far as that is going to happen. */
  isVerified: boolean;
  /** There is a logic pod that can be asked. */
  hasLogic: boolean;
  onDeadline: DeadlinePolicy;
}

export type DrainStep =
  | { do: "cordon" | "drain" | "force" | "purge" | "verify" | "release" }
  | { do: "advance"; to: DrainPhase; because: string }
  | { do: "wait"; for: string };

const advance = (to: DrainPhase, because: string): DrainStep => ({ do: "advance", to, because });
const waitFor = (what: string): DrainStep => ({ do: "wait", for: what });

/** The one next step of a drain. Pure; repeating a step that was done already does no harm. */
export function nextDrainStep(view: DrainView, nowMs: number): DrainStep {
  const isLate = nowMs >= Date.parse(view.intent.deadline);
  const { phase, reason } = view.intent;
  if (!isPastDrain(view.intent)) {
    if (!view.isAlive) return advance("Purging", "it does not run");
    if (reason === "Fenced") return advance("Purging", "it is fenced: its clients are cut off");
  }
  switch (phase) {
    case "Planned":
      return planned(view, isLate);
    case "Cordoned":
      return cordoned(view, isLate);
    case "LbDetaching":
      return detaching(view, isLate);
    case "Draining":
      return draining(view, isLate);
    case "Forcing":
      return forcing(view, isLate);
    case "Purging":
      return purging(view, isLate);
    case "Verifying":
      return view.isVerified || isLate || !view.hasLogic ? { do: "release" } : { do: "verify" };
    case "Released":
      return { do: "release" };
  }
}

function planned({ mayLeave, cause, intent }: DrainView, isLate: boolean): DrainStep {
  if (mayLeave) return advance("Cordoned", "others can take its clients");
  // A node that is only cordoned takes nothing away by itself: its pod serves until there is another.
  if (isLate && (cause ?? intent.reason) !== "NodeDrain")
    return advance("Cordoned", "no replacement became ready in time");
  return waitFor("a replacement that is ready");
}

function cordoned({ probe, isReady }: DrainView, isLate: boolean): DrainStep {
  if (isLate) return advance("LbDetaching", "the time for taking it out of the Service is over");
  if (probe && !probe.cordoned) return { do: "cordon" };
  if (!probe || isReady) return waitFor("the Service to leave it out");
  if (probe.connections === 0) return advance("Draining", "nobody is connected");
  return advance("LbDetaching", "it is not ready any more");
}

function detaching({ probe }: DrainView, isLate: boolean): DrainStep {
  if (isLate || probe?.connections === 0) return advance("Draining", "new connections no longer reach it");
  // Its container has started again.
  if (probe && !probe.cordoned) return { do: "cordon" };
  return waitFor("proxies and load balancers to leave it out");
}

function draining({ probe, onDeadline }: DrainView, isLate: boolean): DrainStep {
  if (probe?.connections === 0) return advance("Purging", "no connection is left");
  if (isLate && onDeadline === "Force") return advance("Forcing", "its deadline is over");
  // Each time with the next lease.
  return probe ? { do: "drain" } : waitFor("the entry to answer");
}

function forcing({ probe, hadClosingTime }: DrainView, isLate: boolean): DrainStep {
  if (probe?.connections === 0) return advance("Purging", "no connection is left");
  if (isLate && hadClosingTime) return advance("Purging", "it did not close its connections in time");
  return probe ? { do: "force" } : waitFor("the entry to answer");
}

function purging(view: DrainView, isLate: boolean): DrainStep {
  // One that has not started for all we know may have by now: asking costs little.
  if (isLate || (!view.hasStarted && (view.isPurged || !view.hasLogic))) return { do: "release" };
  if (view.isPurged) return advance("Verifying", "no route is left");
  return view.hasLogic ? { do: "purge" } : waitFor("a ready logic pod that can purge its routes");
}
