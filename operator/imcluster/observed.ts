// SPDX-License-Identifier: Apache-2.0
import type { ContainerStatus, Pod } from "../kube/types.ts";
import { type DrainIntent, type DrainReason, type DrainReport, parseIntent } from "./drain.ts";
import { drainCause } from "./drain-cause.ts";
import { FINALIZER, LABEL } from "./names.ts";
import { drainAnnotation } from "./resources/entry-pod.ts";

/** What an entry said about itself. */
export interface EntryProbe {
  connections: number;
  sessions: number;
  cordoned: boolean;
  draining: boolean;
  /** Since its start: logins that logic answered, and those of them that it refused. */
  logins?: number;
  loginsFailed?: number;
  /** From HELLO to logic's answer, of those since somebody last asked. */
  loginP99Ms?: number;
  /** Of the latest commands of clients, from the entry to logic and back; `undefined` when there were too few. */
  answerP99Ms?: number;
  /** Connections of clients since its start, those included that it refused at once. */
  arrivals?: number;
  /** The present start of its process as logic knows it; empty or absent until it is attached. */
  incarnation?: string;
  /** When it was asked, monotonic ms. */
  atMs: number;
  /** Sessions of its drain: at its begin, asked to move, not asked yet, closed at the deadline. */
  drain?: { initial: number; asked: number; waiting: number; forced: number };
}

/** An entry pod as the planner sees it. */
export interface ObservedEntry {
  pod: Pod;
  name: string;
  uid: string;
  revision: string;
  intent: DrainIntent | undefined;
  isReady: boolean;
  /** Can never serve again: ended, or overdue after its deletion. */
  isDead: boolean;
  isTerminating: boolean;
  /** A container of it has run at some time. */
  hasStarted: boolean;
  /** The kubelet waits before it starts the crashed container again: nobody is connected, nobody can be asked to move. */
  isBackingOff: boolean;
  /** Carries the finalizer that waits for the purge. */
  isHeld: boolean;
  isOrphan: boolean;
  restarts: number;
  probe: EntryProbe | undefined;
  /** The same, or what it said a moment ago: figures for people do not come and go with one answer that is late. */
  said: EntryProbe | undefined;
  /** See the view of a drain. */
  hadClosingTime: boolean;
  isPurged: boolean;
  /** Why it has to go although the spec wants it. */
  cause: DrainReason | undefined;
  /** Nothing more is going to be learned about its drain. */
  isVerified: boolean;
  /** What its drain came to, as far as it is known. */
  report: DrainReport | undefined;
}

/** The kubelet has this long to confirm the end of a pod after its grace period; then the node counts as lost. */
const LOST_AFTER_MS = 10_000;

export interface EntryFacts {
  ownerUid: string;
  probe: EntryProbe | undefined;
  /** Default: the probe. */
  said?: EntryProbe | undefined;
  isPurged: boolean;
  /** Default yes: only its deadline counts. */
  hadClosingTime?: boolean;
  /** Its node is being emptied; "unknown" before nodes were listed. Default no. */
  isNodeLeaving?: boolean | "unknown";
  verification?: { isDone: boolean; report: DrainReport } | undefined;
  /** Wall clock. */
  nowMs: number;
}

/** Reads what the planner needs out of a pod. Pure. */
export function observeEntry(pod: Pod, facts: EntryFacts): ObservedEntry {
  const { metadata } = pod;
  const containers = pod.status?.containerStatuses ?? [];
  const intent = parseIntent(drainAnnotation(pod));
  return {
    pod,
    name: metadata.name,
    uid: metadata.uid ?? "",
    revision: metadata.labels?.[LABEL.revision] ?? "",
    intent,
    isReady: isPodReady(pod),
    isDead: isDead(pod, facts.nowMs),
    isTerminating: metadata.deletionTimestamp !== undefined,
    hasStarted: containers.some(hasRun),
    isBackingOff: containers.some(({ state }) => state?.waiting?.reason === "CrashLoopBackOff"),
    isHeld: metadata.finalizers?.includes(FINALIZER.entry) ?? false,
    isOrphan: !metadata.ownerReferences?.some((reference) => reference.uid === facts.ownerUid),
    restarts: containers.reduce((sum, container) => sum + container.restartCount, 0),
    probe: facts.probe,
    said: facts.probe ?? facts.said,
    hadClosingTime: facts.hadClosingTime ?? true,
    isPurged: facts.isPurged,
    cause: drainCause(pod, isNodeGoing(facts.isNodeLeaving ?? false, intent)),
    isVerified: facts.verification?.isDone ?? false,
    report: intent?.report ?? facts.verification?.report,
  };
}

/** For lack of news what was begun goes on, and nothing begins. */
function isNodeGoing(isLeaving: boolean | "unknown", intent: DrainIntent | undefined): boolean {
  return isLeaving === "unknown" ? intent?.reason === "NodeDrain" : isLeaving;
}

/** Serves, or is about to. */
export function isActive(entry: ObservedEntry): boolean {
  return !entry.isDead && !entry.isTerminating && !entry.intent;
}

/** Being drained, and still there. */
export function isLeaving(entry: ObservedEntry): boolean {
  return !entry.isDead && !entry.isTerminating && entry.intent !== undefined;
}

/** It is to go, and serves as before until others have taken its place. */
export function isWaitingToLeave(entry: ObservedEntry): boolean {
  return isLeaving(entry) && entry.intent?.phase === "Planned";
}

/** Its clients are being asked to move, or closed. */
export function isMoving({ intent, isDead, isTerminating }: ObservedEntry): boolean {
  return (intent?.phase === "Draining" || intent?.phase === "Forcing") && !isDead && !isTerminating;
}

export function isPodReady(pod: Pod): boolean {
  if (pod.metadata.deletionTimestamp !== undefined) return false;
  return pod.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
}

function hasRun(container: ContainerStatus): boolean {
  const { state, lastState } = container;
  return Boolean(state?.running || state?.terminated || lastState?.terminated) || container.restartCount > 0;
}

function isDead(pod: Pod, nowMs: number): boolean {
  const { phase, containerStatuses = [] } = pod.status ?? {};
  if (phase === "Failed" || phase === "Succeeded") return true;
  const { deletionTimestamp } = pod.metadata;
  if (deletionTimestamp === undefined) return false;
  if (!pod.spec.nodeName) return true;
  if (containerStatuses.length > 0 && containerStatuses.every(({ state }) => state?.terminated)) return true;
  // The deletion timestamp is the end of the grace period, not its beginning.
  return nowMs > Date.parse(deletionTimestamp) + LOST_AFTER_MS;
}

/** The scheduler finds no node for it. */
export function isUnschedulable({ pod }: Pick<ObservedEntry, "pod">): boolean {
  const isOut = ({ type, status, reason }: { type: string; status: string; reason?: string }) =>
    type === "PodScheduled" && status === "False" && reason === "Unschedulable";
  return pod.status?.conditions?.some(isOut) ?? false;
}

/** Why the kubelet or the scheduler cannot get a pod going, in its own words; empty when nothing is wrong. */
export function podTrouble(pod: Pod): string {
  const { conditions = [], containerStatuses = [], phase, reason, message } = pod.status ?? {};
  if (phase === "Failed") return [reason ?? "Failed", message].filter(Boolean).join(": ");
  const unscheduled = conditions.find(({ type, status }) => type === "PodScheduled" && status === "False");
  if (unscheduled) return [unscheduled.reason, unscheduled.message].filter(Boolean).join(": ");
  for (const { state, lastState } of containerStatuses) {
    const waiting = state?.waiting;
    if (!waiting || waiting.reason === "ContainerCreating" || waiting.reason === "PodInitializing") continue;
    const exit = lastState?.terminated;
    const ended = exit ? ` (last exit code ${exit.exitCode}${exit.reason ? `, ${exit.reason}` : ""})` : "";
    return `${waiting.reason ?? "Waiting"}${waiting.message ? `: ${waiting.message}` : ""}${ended}`;
  }
  return "";
}
