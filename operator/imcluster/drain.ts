// SPDX-License-Identifier: Apache-2.0
import type { EntryProbe } from "./observed.ts";

/** In order; the operator only ever goes forward, except that Cordoned may be aborted. */
export const DRAIN_PHASES = ["Cordoned", "Draining", "Purging", "Released"] as const;
export type DrainPhase = (typeof DRAIN_PHASES)[number];
export type DrainReason = "ScaleDown" | "Update" | "Fenced" | "Failed" | "Deleted" | "NodeLost";

/** Did the operator itself end the pod, after a drain, or a person order its end? Its routes go without further question. */
export function isPlanned(reason: DrainReason): boolean {
  return reason === "ScaleDown" || reason === "Update" || reason === "Fenced";
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
}

export interface DrainLimits {
  /** GOAWAYs are spread over this. */
  windowMs: number;
  /** Connections still open after this are closed. */
  deadlineMs: number;
}

/** Readiness probe, EndpointSlice and kube-proxy have taken the pod out after this; an unreachable pod is given up then. */
export const CORDON_DEADLINE_MS = 10_000;
/** From "not ready" until every node's proxy knows: new connections still arrive for that long. */
export const DETACH_MS = 2_000;
/** An entry closes what is left at its deadline; it may take this long to say so. */
const DRAIN_SLACK_MS = 5_000;
/** Without any logic pod that could purge: routes of the pod die with its lease anyway. */
export const PURGE_DEADLINE_MS = 60_000;

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

/** The intent in another phase, with the deadline of that phase. */
export function inPhase(intent: DrainIntent, phase: DrainPhase, limits: DrainLimits, nowMs: number): DrainIntent {
  const spanMs: Record<DrainPhase, number> = {
    Cordoned: CORDON_DEADLINE_MS,
    Draining: limits.deadlineMs + DRAIN_SLACK_MS,
    Purging: PURGE_DEADLINE_MS,
    Released: 0,
  };
  return { ...intent, phase, deadline: new Date(nowMs + spanMs[phase]).toISOString() };
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
  /** Logic said that no route is left. */
  isPurged: boolean;
  /** There is a logic pod that can be asked. */
  hasLogic: boolean;
}

export type DrainStep =
  | { do: "cordon" | "drain" | "purge" | "release" }
  | { do: "advance"; to: DrainPhase; because: string }
  | { do: "wait"; for: string };

/** The one next step of a drain. Pure; repeating a step that was done already does no harm. */
export function nextDrainStep(view: DrainView, nowMs: number): DrainStep {
  const isLate = nowMs >= Date.parse(view.intent.deadline);
  switch (view.intent.phase) {
    case "Cordoned":
      return cordoned(view, isLate, nowMs);
    case "Draining":
      return draining(view, isLate);
    case "Purging":
      if (view.isPurged || !view.hasStarted || isLate) return { do: "release" };
      return view.hasLogic ? { do: "purge" } : { do: "wait", for: "a ready logic pod that can purge its routes" };
    case "Released":
      return { do: "release" };
  }
}

function cordoned(view: DrainView, isLate: boolean, nowMs: number): DrainStep {
  const { probe, intent } = view;
  if (!view.isAlive) return { do: "advance", to: "Purging", because: "it does not run" };
  if (isLate) return { do: "advance", to: "Draining", because: "the time for taking it out of the Service is over" };
  if (probe && !probe.cordoned) return { do: "cordon" };
  if (!probe || view.isReady) return { do: "wait", for: "the Service to leave it out" };
  const isDetached = probe.connections === 0 || nowMs >= Date.parse(intent.startedAt) + DETACH_MS;
  if (isDetached) return { do: "advance", to: "Draining", because: "new connections no longer reach it" };
  return { do: "wait", for: "proxies to leave it out" };
}

function draining(view: DrainView, isLate: boolean): DrainStep {
  const { probe } = view;
  if (!view.isAlive) return { do: "advance", to: "Purging", because: "it does not run any more" };
  if (probe?.connections === 0) return { do: "advance", to: "Purging", because: "no connection is left" };
  if (isLate) return { do: "advance", to: "Purging", because: "its deadline is over" };
  if (probe && !probe.draining) return { do: "drain" };
  return { do: "wait", for: probe ? `${probe.connections} connections to move` : "the entry to answer" };
}
