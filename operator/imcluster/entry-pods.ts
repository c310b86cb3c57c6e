// SPDX-License-Identifier: Apache-2.0
import { type DrainIntent, type DrainLimits, type DrainReason, inPhase, newIntent, nextDrainStep } from "./drain.ts";
import type { ObservedEntry } from "./observed.ts";

export interface EntryPlanInput {
  replicas: number;
  /** Wanted revision. */
  revision: string;
  /** Logic runs the wanted version, so entries may follow. */
  mayRollOut: boolean;
  entries: readonly ObservedEntry[];
  /** Why no pod can be made now, if so. */
  createBlocked: string | undefined;
  /** After failures: no pod is made before this (wall clock ms). */
  createNotBeforeMs: number;
  drain: DrainLimits;
  hasLogic: boolean;
  nowMs: number;
}

type OnEntry = { entry: ObservedEntry; reason: string };

/** Each names the one write or call to make; `reason` is for logs, events and the status. */
export type EntryAction =
  | { kind: "createEntry"; reason: string }
  | ({ kind: "adopt" } & OnEntry)
  | ({ kind: "setDrain"; intent: DrainIntent } & OnEntry)
  | ({ kind: "abortDrain"; intent: DrainIntent } & OnEntry)
  | ({ kind: "cordon" | "drain" | "purge"; intent: DrainIntent } & OnEntry)
  | ({ kind: "release"; intent: DrainIntent } & OnEntry)
  | ({ kind: "deletePod" } & OnEntry)
  | { kind: "wait"; reason: string; afterMs: number };

/** Pods made in one pass; the next pass comes at once. */
const CREATE_BATCH = 10;
/** Of the wanted pods, how many may drain at a time. */
const DRAIN_SHARE = 0.25;
const POLL_MS = 500;

/**
 * What to do about the entry pods now. Pure and idempotent: with nothing left to do it returns nothing but waits.
 * Holds in every order of events: a ready pod is only taken away while `replicas` others are ready, and a rollout has at
 * most one pod more than `replicas`.
 */
export function planEntries(input: EntryPlanInput): EntryAction[] {
  const orphans = input.entries.filter((entry) => entry.isOrphan && !entry.isTerminating);
  const active = input.entries.filter(isActive);
  const revived = revivable(input, input.replicas - active.length);
  return [
    ...orphans.map(
      (entry): EntryAction => ({ kind: "adopt", entry, reason: "it carries our labels and has no owner" }),
    ),
    ...input.entries.filter((entry) => !revived.includes(entry)).flatMap((entry) => stepsOf(entry, input)),
    ...revived.map((entry) => abort(entry)),
    ...creations(input, active, input.replicas - active.length - revived.length),
    ...(revived.length > 0 ? [] : newDrains(input, active)),
  ];
}

/** Serves, or is about to. */
export function isActive(entry: ObservedEntry): boolean {
  return !entry.isDead && !entry.isTerminating && !entry.intent;
}

/** Being drained, and still there. */
export function isLeaving(entry: ObservedEntry): boolean {
  return !entry.isDead && !entry.isTerminating && entry.intent !== undefined;
}

/** Drains of wanted pods that can still be called off: their clients were not told anything yet. */
function revivable(input: EntryPlanInput, missing: number): ObservedEntry[] {
  const candidates = input.entries.filter(
    (entry) => isLeaving(entry) && entry.intent?.phase === "Cordoned" && entry.revision === input.revision,
  );
  return candidates.slice(0, Math.max(0, missing));
}

function abort(entry: ObservedEntry): EntryAction {
  const intent = entry.intent as DrainIntent;
  return { kind: "abortDrain", entry, intent, reason: "it is wanted again" };
}

function creations(input: EntryPlanInput, active: ObservedEntry[], missing: number): EntryAction[] {
  const wanted = missing > 0 ? Math.min(missing, CREATE_BATCH) : surge(input, active);
  if (wanted === 0) return [];
  if (input.createBlocked) return [{ kind: "wait", reason: input.createBlocked, afterMs: 2_000 }];
  const pauseMs = input.createNotBeforeMs - input.nowMs;
  if (pauseMs > 0) {
    const seconds = Math.ceil(pauseMs / 1000);
    return [{ kind: "wait", reason: `entry pods failed again and again: next one in ${seconds} s`, afterMs: pauseMs }];
  }
  const reason =
    missing > 0 ? `${missing} of ${input.replicas} entries are missing` : `update to revision ${input.revision}`;
  return Array.from({ length: wanted }, () => ({ kind: "createEntry", reason }));
}

/** One pod of the new revision on top, while an old one serves and nobody else is extra. */
function surge(input: EntryPlanInput, active: ObservedEntry[]): number {
  const isOutdated = active.some((entry) => entry.revision !== input.revision);
  const extra = active.length + input.entries.filter(isLeaving).length - input.replicas;
  return isOutdated && input.mayRollOut && extra <= 0 ? 1 : 0;
}

function newDrains(input: EntryPlanInput, active: ObservedEntry[]): EntryAction[] {
  const excess = active.length - input.replicas;
  if (excess <= 0) return [];
  const isRollout = active.some((entry) => entry.revision !== input.revision);
  // With one pod too many in a rollout, that one is the replacement: only an old pod may go.
  const candidates = active.filter((entry) => !isRollout || excess > 1 || entry.revision !== input.revision);
  const limit = Math.max(1, Math.ceil(input.replicas * DRAIN_SHARE));
  let slots = Math.min(excess, limit - input.entries.filter(isLeaving).length);
  let ready = active.filter((entry) => entry.isReady).length;
  const actions: EntryAction[] = [];
  for (const entry of candidates.sort((a, b) => compareVictims(a, b, input.revision, isRollout))) {
    if (slots <= 0) break;
    if (!mayLeave(entry, ready, input.replicas)) continue;
    if (entry.isReady) ready--;
    slots--;
    const reason: DrainReason = entry.revision === input.revision ? "ScaleDown" : "Update";
    actions.push(start(entry, reason, input));
  }
  return actions;
}

/** A ready pod, or one that holds sessions, leaves only while enough others can take over. */
function mayLeave(entry: ObservedEntry, ready: number, replicas: number): boolean {
  if (entry.isReady) return ready - 1 >= replicas;
  return (entry.probe?.sessions ?? 0) === 0 || ready >= replicas;
}

function compareVictims(a: ObservedEntry, b: ObservedEntry, revision: string, isRollout: boolean): number {
  const rank = (entry: ObservedEntry): number => {
    const isOld = entry.revision !== revision;
    if (!entry.isReady) return isOld || !isRollout ? 0 : 3;
    return isOld ? 1 : 2;
  };
  const sessions = (entry: ObservedEntry) => entry.probe?.sessions ?? 0;
  return rank(a) - rank(b) || sessions(a) - sessions(b) || a.name.localeCompare(b.name);
}

function start(entry: ObservedEntry, reason: DrainReason, input: EntryPlanInput): EntryAction {
  const intent = newIntent(drainId(entry, reason), reason, "Cordoned", input.nowMs);
  return { kind: "setDrain", entry, intent: inPhase(intent, "Cordoned", input.drain, input.nowMs), reason };
}

/** The same pod drained for the same reason is the same drain. */
function drainId(entry: ObservedEntry, reason: DrainReason): string {
  return `${entry.uid}-${reason.toLowerCase()}`;
}

/** Steps of pods that leave or are gone. */
function stepsOf(entry: ObservedEntry, input: EntryPlanInput): EntryAction[] {
  if (!entry.isDead && !entry.intent) return [];
  if (!entry.isHeld && (entry.isTerminating || entry.isDead || entry.intent?.phase === "Released"))
    return unheld(entry);
  if (entry.isDead && (!entry.intent || !isPastDrain(entry.intent))) return [bury(entry, input)];
  const { intent } = entry;
  if (!intent) return [];
  // Told to end by somebody else while draining: the entry drains itself on SIGTERM; wait for its end.
  if (entry.isTerminating && !entry.isDead) return [{ kind: "wait", reason: `${entry.name} ends`, afterMs: 2_000 }];
  return [step(entry, intent, input)];
}

function isPastDrain(intent: DrainIntent): boolean {
  return intent.phase === "Purging" || intent.phase === "Released";
}

/** Nothing of ours holds the object any more: it may go. */
function unheld(entry: ObservedEntry): EntryAction[] {
  return entry.isTerminating ? [] : [{ kind: "deletePod", entry, reason: "released" }];
}

/** A dead pod goes straight to the purge. */
function bury(entry: ObservedEntry, input: EntryPlanInput): EntryAction {
  const { phase } = entry.pod.status ?? {};
  const hasEnded = phase === "Failed" || phase === "Succeeded";
  const reason: DrainReason = entry.isTerminating ? (hasEnded ? "Deleted" : "NodeLost") : "Failed";
  const intent = entry.intent ?? newIntent(drainId(entry, reason), reason, "Purging", input.nowMs);
  return { kind: "setDrain", entry, intent: inPhase(intent, "Purging", input.drain, input.nowMs), reason };
}

function step(entry: ObservedEntry, intent: DrainIntent, input: EntryPlanInput): EntryAction {
  const isAlive = entry.hasStarted && !entry.isDead && !entry.isBackingOff;
  const view = { ...entry, intent, isAlive, hasLogic: input.hasLogic };
  const next = nextDrainStep(view, input.nowMs);
  switch (next.do) {
    case "advance":
      return {
        kind: "setDrain",
        entry,
        intent: inPhase(intent, next.to, input.drain, input.nowMs),
        reason: next.because,
      };
    case "release":
      return {
        kind: "release",
        entry,
        intent: inPhase(intent, "Released", input.drain, input.nowMs),
        reason: "drained",
      };
    case "wait":
      return { kind: "wait", reason: `${entry.name} waits for ${next.for}`, afterMs: POLL_MS };
    default:
      return { kind: next.do, entry, intent, reason: intent.reason };
  }
}
