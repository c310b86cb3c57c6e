// SPDX-License-Identifier: Apache-2.0
import { type DrainIntent, type DrainReason, inPhase, isPlanned, newIntent, nextDrainStep } from "./drain.ts";
import type { EntryAction, EntryPlanInput } from "./entry-plan.ts";
import type { ObservedEntry } from "./observed.ts";

/** Of the wanted pods, how many may drain at a time. */
const DRAIN_SHARE = 0.25;
const POLL_MS = 500;

/** Pods whose clients are asked to move at the same time. */
export function drainsAtOnce({ replicas, update }: Pick<EntryPlanInput, "replicas" | "update">): number {
  // With no entry wanted nobody has to take over.
  if (replicas === 0) return Number.MAX_SAFE_INTEGER;
  return update.strategy === "Batched" ? update.batch : Math.max(1, Math.ceil(replicas * DRAIN_SHARE));
}

/** The first step of a drain that the planner itself decides on. */
export function startDrain(entry: ObservedEntry, reason: DrainReason, input: EntryPlanInput): EntryAction {
  const intent = newIntent(drainId(entry, reason), reason, "Cordoned", input.nowMs);
  return { kind: "setDrain", entry, intent: inPhase(intent, "Cordoned", input.drain, input.nowMs), reason };
}

/** Was it begun by the planner, and was no client told anything yet? Then it can be called off. */
export function isAbortable({ intent }: ObservedEntry): boolean {
  return intent?.phase === "Cordoned" && (intent.reason === "Update" || intent.reason === "ScaleDown");
}

export function abortDrain(entry: ObservedEntry): EntryAction {
  const intent = entry.intent as DrainIntent;
  return { kind: "abortDrain", entry, intent, reason: "it is wanted again" };
}

/** The same pod drained for the same reason is the same drain. */
function drainId(entry: ObservedEntry, reason: DrainReason): string {
  return `${entry.uid}-${reason.toLowerCase()}`;
}

/**
 * Next steps of pods that leave or are gone. Of those that leave because the operator wants it, only so many go on to ask their
 * clients at a time: the others take nobody, keep whom they have, and wait. In an update nobody is asked before all that close
 * are out of the Service: a client that was asked must not arrive at the next one.
 *
 * @param isMoreClosing others begin to close only now
 */
export function drainSteps(
  entries: readonly ObservedEntry[],
  input: EntryPlanInput,
  isMoreClosing: boolean,
): EntryAction[] {
  let slots = drainsAtOnce(input) - input.entries.filter(isAsking).length;
  const steps = entries.map((entry) => ({ entry, actions: stepsOf(entry, input) }));
  const isClosing = isMoreClosing || steps.some(({ entry, actions }) => isStillClosing(entry, actions));
  return steps
    .flatMap(({ actions }) => actions)
    .map((action) => {
      if (!isFirstAsk(action)) return action;
      const { reason } = action.intent;
      if (!isPlanned(reason) || (!(isClosing && reason === "Update") && slots-- > 0)) return action;
      return heldBack(action.entry, action.intent);
    });
}

type SetDrain = EntryAction & { kind: "setDrain" };

function isFirstAsk(action: EntryAction): action is SetDrain {
  return action.kind === "setDrain" && action.intent.phase === "Draining";
}

/** It is on its way out of the Service, and not there yet; that has a deadline. */
function isStillClosing(entry: ObservedEntry, actions: readonly EntryAction[]): boolean {
  if (entry.isTerminating || !isAbortable(entry) || entry.intent?.reason !== "Update") return false;
  return actions.some(({ kind }) => kind === "cordon" || kind === "wait");
}

function isAsking(entry: ObservedEntry): boolean {
  const { intent, isDead, isTerminating } = entry;
  return !isDead && !isTerminating && intent?.phase === "Draining" && isPlanned(intent.reason);
}

/** A container that was started again meanwhile must be told again. */
function heldBack(entry: ObservedEntry, intent: DrainIntent): EntryAction {
  if (entry.probe && !entry.probe.cordoned)
    return { kind: "cordon", entry, intent: { ...intent, phase: "Cordoned" }, reason: intent.reason };
  return { kind: "wait", reason: `${entry.name} waits for other drains`, afterMs: POLL_MS };
}

function stepsOf(entry: ObservedEntry, input: EntryPlanInput): EntryAction[] {
  if (isCutOff(entry, input)) return [cutOff(entry, input)];
  if (!entry.isDead && !entry.intent) return [];
  if (!entry.isHeld && (entry.isTerminating || entry.isDead || entry.intent?.phase === "Released"))
    return unheld(entry);
  if (entry.isDead && (!entry.intent || !isPastDrain(entry.intent))) return [bury(entry, input)];
  const { intent } = entry;
  if (!intent) return [];
  if (intent.reason === "Fenced") return [...unheld(entry), step(entry, intent, input)];
  // Told to end by somebody else while draining: the entry drains itself on SIGTERM; wait for its end.
  if (entry.isTerminating && !entry.isDead) return [{ kind: "wait", reason: `${entry.name} ends`, afterMs: 2_000 }];
  return [step(entry, intent, input)];
}

function isPastDrain(intent: DrainIntent): boolean {
  return intent.phase === "Purging" || intent.phase === "Released";
}

/** It may go, if it does not already. */
function unheld(entry: ObservedEntry): EntryAction[] {
  return entry.isTerminating ? [] : [{ kind: "deletePod", entry, reason: entry.intent?.reason ?? "released" }];
}

/** Fenced, and not yet on its way: what it was asked to do before no longer matters. */
export function isCutOff({ name, intent }: ObservedEntry, input: Pick<EntryPlanInput, "isFenced">): boolean {
  const isDone = intent !== undefined && isPastDrain(intent);
  return !isDone && (input.isFenced?.(name) ?? false);
}

/** Straight to the purge, which fences it; it is told to end at the same time. */
function cutOff(entry: ObservedEntry, input: EntryPlanInput): EntryAction {
  const reason: DrainReason = "Fenced";
  const intent = newIntent(drainId(entry, reason), reason, "Purging", input.nowMs);
  return { kind: "setDrain", entry, intent: inPhase(intent, "Purging", input.drain, input.nowMs), reason };
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
