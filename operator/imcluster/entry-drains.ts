// SPDX-License-Identifier: Apache-2.0
import {
  type DrainIntent,
  type DrainPhase,
  type DrainReason,
  inPhase,
  isPastDrain,
  isPlanned,
  isRevocable,
  newIntent,
  nextDrainStep,
} from "./drain.ts";
import { isExternal } from "./drain-cause.ts";
import type { EntryAction, EntryPlanInput } from "./entry-plan.ts";
import { isMoving, type ObservedEntry } from "./observed.ts";

/** Of the wanted pods, how many may drain at a time. */
const DRAIN_SHARE = 0.25;
const POLL_MS = 500;

/** Pods whose clients are asked to move at the same time. */
export function drainsAtOnce({ replicas, update }: Pick<EntryPlanInput, "replicas" | "update">): number {
  // With no entry wanted nobody has to take over.
  if (replicas === 0) return Number.MAX_SAFE_INTEGER;
  return update.strategy === "Batched" ? update.batch : Math.max(1, Math.ceil(replicas * DRAIN_SHARE));
}

/** The first step of a drain: Cordoned for one that the planner itself decides on. */
export function startDrain(
  entry: ObservedEntry,
  reason: DrainReason,
  input: EntryPlanInput,
  phase: DrainPhase = "Cordoned",
): EntryAction {
  const intent = newIntent(drainId(entry, reason), reason, phase, input.nowMs);
  return { kind: "setDrain", entry, intent: inPhase(intent, phase, input.drain, input.nowMs), reason };
}

/** Was it begun by the planner, and was no client told anything yet? Then it can be called off. */
export function isAbortable({ intent, cause }: ObservedEntry): boolean {
  const isOurs = intent?.reason === "Update" || intent?.reason === "ScaleDown";
  return intent !== undefined && isOurs && isRevocable(intent) && !cause;
}

/** Was it begun because somebody wanted it away, and does nobody any more? */
export function isCalledOff({ intent, cause }: ObservedEntry): boolean {
  return intent !== undefined && isExternal(intent.reason) && isRevocable(intent) && !cause;
}

/** Can it be told to take connections again? One that was never told to stop need not be told. */
export function canReopen({ probe, hasStarted, intent }: ObservedEntry): boolean {
  return probe !== undefined || !hasStarted || intent?.phase === "Planned";
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
  let slots = drainsAtOnce(input) - input.entries.filter((entry) => isAsking(entry, input)).length;
  const leavers = mayLeave(input);
  const steps = entries.map((entry) => ({ entry, actions: stepsOf(entry, input, leavers.has(entry.uid)) }));
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

/** Planned pods that may go now: as many as are ready beyond those wanted. One that serves nobody always may. */
function mayLeave({ entries, replicas }: EntryPlanInput): Set<string> {
  const serving = entries.filter(
    ({ isReady, isDead, isTerminating, intent }) =>
      isReady && !isDead && !isTerminating && (!intent || intent.phase === "Planned"),
  );
  const planned = entries.filter(({ intent }) => intent?.phase === "Planned");
  const order = (a: ObservedEntry, b: ObservedEntry) =>
    Date.parse(a.intent?.startedAt ?? "") - Date.parse(b.intent?.startedAt ?? "") || a.name.localeCompare(b.name);
  const free = planned.filter(({ isReady, probe }) => !isReady && (probe?.connections ?? 0) === 0);
  const busy = planned.filter((entry) => !free.includes(entry)).sort(order);
  return new Set([...free, ...busy.slice(0, Math.max(0, serving.length - replicas))].map(({ uid }) => uid));
}

type SetDrain = EntryAction & { kind: "setDrain" };

function isFirstAsk(action: EntryAction): action is SetDrain {
  return action.kind === "setDrain" && action.intent.phase === "Draining";
}

/** It is on its way out of the Service, and not there yet; that has a deadline. */
function isStillClosing(entry: ObservedEntry, actions: readonly EntryAction[]): boolean {
  if (entry.isTerminating || !isAbortable(entry) || entry.intent?.reason !== "Update") return false;
  return actions.some(
    (action) =>
      action.kind === "cordon" ||
      action.kind === "wait" ||
      (action.kind === "setDrain" && action.intent.phase === "LbDetaching"),
  );
}

/** Those that are only held past their deadline keep nobody waiting. */
function isAsking(entry: ObservedEntry, input: EntryPlanInput): boolean {
  const { intent, isDead, isTerminating } = entry;
  if (isDead || isTerminating || !intent || !isPlanned(intent.reason)) return false;
  return intent.phase === "Forcing" || (intent.phase === "Draining" && !isHeldLate(entry, input));
}

/** Its clients were all asked, and may stay as long as they like. */
function isHeldLate({ intent }: ObservedEntry, { drain, nowMs }: Pick<EntryPlanInput, "drain" | "nowMs">): boolean {
  return intent?.phase === "Draining" && drain.onDeadline === "Hold" && nowMs >= Date.parse(intent.deadline);
}

/** Does it leave, so that another one has to wait? Not while it waits itself, or its clients do as they like. */
export function takesPlace(entry: ObservedEntry, input: Pick<EntryPlanInput, "drain" | "nowMs">): boolean {
  return entry.intent !== undefined && entry.intent.phase !== "Planned" && !isHeldLate(entry, input);
}

/** A container that was started again meanwhile must be told again. */
function heldBack(entry: ObservedEntry, intent: DrainIntent): EntryAction {
  if (entry.probe && !entry.probe.cordoned)
    return { kind: "cordon", entry, intent: { ...intent, phase: "Cordoned" }, reason: intent.reason };
  return { kind: "wait", reason: `${entry.name} waits for other drains`, afterMs: POLL_MS };
}

function stepsOf(entry: ObservedEntry, input: EntryPlanInput, mayGo: boolean): EntryAction[] {
  // Straight to the purge, which fences it; it is told to end at the same time.
  if (isCutOff(entry, input)) return [startDrain(entry, "Fenced", input, "Purging")];
  const { intent } = entry;
  if (!entry.isDead && !intent) return unplanned(entry, input);
  if (!entry.isHeld && (entry.isTerminating || entry.isDead || intent?.phase === "Released")) return unheld(entry);
  if (entry.isDead && (!intent || !isPastDrain(intent))) return [bury(entry, input)];
  if (!intent) return [];
  if (intent.reason === "Fenced") return [...unheld(entry), step(entry, intent, input, mayGo)];
  // Told to end by somebody else while draining: the entry drains itself on SIGTERM; wait for its end.
  if (entry.isTerminating && !entry.isDead) return [{ kind: "wait", reason: `${entry.name} ends`, afterMs: 2_000 }];
  if (isCalledOff(entry)) return [canReopen(entry) ? abortDrain(entry) : awaitAnswer(entry)];
  return [step(entry, intent, input, mayGo)];
}

/** It may serve its clients all the same: nothing is done to it for lack of news. */
function awaitAnswer({ name }: ObservedEntry): EntryAction {
  return { kind: "wait", reason: `${name} is wanted again, and waits for the entry to answer`, afterMs: POLL_MS };
}

/** It serves: unless somebody ends it, or wants it away. */
function unplanned(entry: ObservedEntry, input: EntryPlanInput): EntryAction[] {
  if (entry.isTerminating) {
    // The entry drains itself; this only tells people how far it is.
    const isRunning = entry.isHeld && entry.hasStarted && !entry.isBackingOff;
    return isRunning ? [startDrain(entry, "PodDeleted", input, "Draining")] : [];
  }
  if (!entry.cause || entry.isOrphan) return [];
  return [startDrain(entry, entry.cause, input, "Planned")];
}

/** It may go, if it does not already. */
function unheld(entry: ObservedEntry): EntryAction[] {
  return entry.isTerminating ? [] : [{ kind: "deletePod", entry, reason: entry.intent?.reason ?? "released" }];
}

/** Fenced, and not yet on its way: what it was asked to do before no longer matters. */
export function isCutOff({ name, intent, cause }: ObservedEntry, input: Pick<EntryPlanInput, "isFenced">): boolean {
  const isDone = intent !== undefined && isPastDrain(intent);
  return !isDone && (cause === "Fenced" || (input.isFenced?.(name) ?? false));
}

/** A dead pod goes straight to the purge. */
function bury(entry: ObservedEntry, input: EntryPlanInput): EntryAction {
  const { phase } = entry.pod.status ?? {};
  const hasEnded = phase === "Failed" || phase === "Succeeded";
  const reason: DrainReason = entry.isTerminating ? (hasEnded ? "PodDeleted" : "NodeLost") : "Failed";
  if (!entry.intent) return startDrain(entry, reason, input, "Purging");
  return { kind: "setDrain", entry, intent: inPhase(entry.intent, "Purging", input.drain, input.nowMs), reason };
}

/** Connections that all drains under way share the budget for. */
function leftToClose({ entries }: EntryPlanInput): number {
  return entries.filter(isMoving).reduce((sum, { probe }) => sum + (probe?.connections ?? 0), 0);
}

function step(entry: ObservedEntry, intent: DrainIntent, input: EntryPlanInput, mayGo: boolean): EntryAction {
  const { hasLogic, drain, nowMs } = input;
  const isAlive = entry.hasStarted && !entry.isDead && !entry.isBackingOff;
  const view = { ...entry, intent, isAlive, mayLeave: mayGo, hasLogic, onDeadline: drain.onDeadline };
  const next = nextDrainStep(view, nowMs);
  switch (next.do) {
    case "advance": {
      const advanced = inPhase(intent, next.to, drain, nowMs, leftToClose(input));
      return { kind: "setDrain", entry, intent: advanced, reason: next.because };
    }
    case "release": {
      const released = inPhase(intent, "Released", drain, nowMs);
      const report = entry.report ? { report: entry.report } : {};
      return { kind: "release", entry, intent: { ...released, ...report }, reason: "drained" };
    }
    case "wait":
      return { kind: "wait", reason: `${entry.name} waits for ${next.for}`, afterMs: POLL_MS };
    default:
      return { kind: next.do, entry, intent, reason: intent.reason };
  }
}
