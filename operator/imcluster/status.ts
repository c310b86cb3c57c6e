// SPDX-License-Identifier: Apache-2.0
import { type ConditionFacts, type ConditionType, mergeConditions, rfc3339Seconds } from "../api/conditions.ts";
import type { DrainStatus, ImClusterStatus, PodStatus } from "../api/v1alpha1.ts";
import * as judge from "./cluster-conditions.ts";
import { cordonRequest } from "./cordon-requests.ts";
import { drainHistory } from "./drain-history.ts";
import { budgetLimits } from "./drain-limits.ts";
import { entrySelector } from "./names.ts";
import { type ObservedEntry, podTrouble } from "./observed.ts";
import type { ObservedCluster } from "./observed-cluster.ts";
import { entryPlanInput } from "./plan.ts";
import { type RemainingWork, remainingWork } from "./plan-status.ts";
import { routerFigures } from "./route-audit.ts";
import { type Situation, situationOf, type WorkloadSituation } from "./situation.ts";
import { freeConnectionsPercent, isPaused, wantedEntries } from "./wanted.ts";

const MAX_PODS = 50;

export type Phase = "Pending" | "Ready" | "Scaling" | "Updating" | "Degraded" | "Hibernated" | "Paused" | "Deleting";

/** What became of the last pass. */
export interface PassReport {
  /** Refused or failed writes and calls, a sentence each. */
  errors: readonly string[];
  /** What the plan waits for. */
  waits: readonly string[];
}

/** The whole status. Pure; equal to the present one when nothing that matters has changed. */
export function statusOf(observed: ObservedCluster, report: PassReport): ImClusterStatus {
  const { cluster, context, addresses } = observed;
  const situation = situationOf(observed);
  const generation = cluster.metadata.generation ?? 0;
  const { plan, etaSeconds } = remainingOf(observed, situation);
  const drains = drainHistory(cluster.status?.drains ?? [], observed, etaSeconds);
  const verdicts = verdictsOf(observed, situation, report, drains);
  const [phase, phaseReason] = phaseOf(observed, situation, verdicts, report);
  return {
    observedGeneration: generation,
    phase,
    phaseReason,
    version: context.version,
    image: context.image,
    ...(addresses[0] ? { address: addresses[0] } : {}),
    addresses: [...addresses],
    entry: entryFigures(observed, situation),
    ...(situation.update.record ? { update: situation.update.record } : {}),
    ...(plan ? { plan } : {}),
    ...autoscalingFigures(observed),
    ...routerFigures(observed),
    ...(observed.dataPlane ? { dataPlane: observed.dataPlane } : {}),
    logic: figures(situation.logic),
    extlogic: figures(situation.extlogic),
    pods: observed.entries.map(podStatus).sort(worstFirst).slice(0, MAX_PODS),
    drains,
    conditions: mergeConditions(cluster.status?.conditions, verdicts, generation, observed.nowMs),
  };
}

function remainingOf(observed: ObservedCluster, { update }: Situation): RemainingWork {
  const { cluster, reconnectsPerSecond: ratePerSecond } = observed;
  const terms = { update: cluster.spec.entry.update, budget: budgetLimits(cluster), ratePerSecond };
  return remainingWork(entryPlanInput(observed), update, terms);
}

function entryFigures(observed: ObservedCluster, situation: Situation): ImClusterStatus["entry"] {
  const replicas = wantedEntries(observed);
  return {
    replicas: situation.active.length,
    ready: situation.ready,
    draining: situation.leaving.length,
    updated: situation.updated,
    summary: `${Math.min(situation.ready, replicas)}/${replicas}`,
    selector: entrySelector(observed.cluster.metadata.name),
    sessions: situation.sessions,
    currentRevision: situation.revision,
  };
}

function autoscalingFigures({
  cluster,
  entries,
  scaling,
  nowMs,
}: ObservedCluster): Pick<ImClusterStatus, "autoscaling"> {
  if (!scaling) return {};
  const { desired, needed = 0 } = scaling;
  const before = cluster.status?.autoscaling;
  const lastScale = before?.desired === desired ? before.lastScale : rfc3339Seconds(nowMs);
  const free = freeConnectionsPercent(cluster, entries);
  return {
    autoscaling: {
      ...{ desired, limited: needed > desired },
      ...(lastScale ? { lastScale } : {}),
      ...(free === undefined ? {} : { freeConnectionsPercent: free }),
    },
  };
}

function figures({ wanted, ready }: WorkloadSituation): ImClusterStatus["logic"] {
  return { replicas: wanted, ready, summary: `${ready}/${wanted}` };
}

function verdictsOf(
  observed: ObservedCluster,
  situation: Situation,
  report: PassReport,
  drains: readonly DrainStatus[],
): ConditionFacts[] {
  const facts = (type: ConditionType, verdict: Omit<ConditionFacts, "type">): ConditionFacts => ({ type, ...verdict });
  const ready = judge.ready(observed, situation);
  return [
    facts("Ready", ready),
    facts("Progressing", progressing(observed, situation, report)),
    facts("Degraded", degraded(observed, situation, report)),
    facts("EntriesReady", judge.entriesReady(observed, situation)),
    facts("LogicReady", judge.logicReady(situation)),
    facts("StoreReady", judge.storeReady(observed, situation)),
    facts("RouterReady", judge.routerReady(observed, situation)),
    facts("RouterConsistent", judge.routerConsistent(observed)),
    facts("LoadBalancerReady", judge.loadBalancerReady(observed)),
    facts("DataPlaneSafe", judge.dataPlaneSafe(observed)),
    facts("SchemaMigrated", judge.schemaMigrated(situation)),
    facts("EmbeddedDatastores", judge.embeddedDatastores(observed, situation)),
    facts("UpdateBlocked", judge.updateBlocked(observed, situation)),
    facts("ScalingLimited", judge.scalingLimited(observed)),
    facts("Hibernated", judge.hibernated(observed, situation)),
    facts("DrainVerified", judge.drainVerified(drains)),
    facts("Paused", judge.paused(observed)),
  ];
}

function isSettled(observed: ObservedCluster, situation: Situation): boolean {
  const { active, leaving, ready, updated, logic, extlogic, migration } = situation;
  const replicas = wantedEntries(observed);
  const areEntriesDone = [active.length, ready, updated].every((count) => count === replicas) && leaving.length === 0;
  return areEntriesDone && logic.isRolledOut && extlogic.isRolledOut && migration.state === "complete";
}

function isStuck(observed: ObservedCluster, situation: Situation, report: PassReport): boolean {
  if (report.errors.length > 0 || situation.missing.length > 0) return true;
  return situation.migration.state === "failed" || observed.createNotBeforeMs > observed.nowMs;
}

function progressing(
  observed: ObservedCluster,
  situation: Situation,
  report: PassReport,
): Omit<ConditionFacts, "type"> {
  if (isPaused(observed.cluster)) return { status: "False", reason: "Paused", message: judge.paused(observed).message };
  if (isSettled(observed, situation))
    return { status: "False", reason: "Complete", message: "everything is as wanted" };
  const [first] = [...report.errors, ...situation.missing];
  if (isStuck(observed, situation, report)) {
    return { status: "False", reason: "Stuck", message: first ?? "see SchemaMigrated and EntriesReady" };
  }
  const { blockade } = situation.update;
  if (blockade) return { status: "False", reason: "UpdateBlocked", message: blockade.message };
  const message = report.waits[0] ?? `${situation.updated} of ${wantedEntries(observed)} entries are up to date`;
  return { status: "True", reason: "Working", message };
}

function degraded(observed: ObservedCluster, situation: Situation, report: PassReport): Omit<ConditionFacts, "type"> {
  const { ready, established, extlogic, troubles, migration, wasReady } = situation;
  const isShort = wasReady && ready < Math.min(established, wantedEntries(observed));
  const isExtlogicDown = wasReady && extlogic.wanted > 0 && extlogic.ready === 0;
  const problems = [
    ...report.errors,
    ...situation.missing,
    ...(migration.state === "failed" ? [judge.schemaMigrated(situation).message] : []),
    ...(isShort || observed.createNotBeforeMs > observed.nowMs
      ? [judge.entriesReady(observed, situation).message]
      : []),
    ...(isExtlogicDown ? ["no extlogic pod is ready: pushes wait in their queue"] : []),
    ...troubles,
  ];
  const [first] = problems;
  if (!first) return { status: "False", reason: "AsWanted", message: "nothing is wrong" };
  return { status: "True", reason: report.errors.length > 0 ? "WriteFailed" : "NotAsWanted", message: first };
}

function phaseOf(
  observed: ObservedCluster,
  situation: Situation,
  facts: readonly ConditionFacts[],
  report: PassReport,
): [Phase, string] {
  const replicas = wantedEntries(observed);
  const { active, leaving, ready, updated, logic, migration } = situation;
  const message = (type: ConditionType) => facts.find((one) => one.type === type)?.message ?? "";
  const isServing = facts.some(({ type, status }) => type === "Ready" && status === "True");
  const isDegraded = facts.some(({ type, status }) => type === "Degraded" && status === "True");
  if (isPaused(observed.cluster)) return ["Paused", message("Paused")];
  if (replicas === 0) return ["Hibernated", message("Hibernated")];
  if (isServing && isSettled(observed, situation) && !isDegraded) {
    return ["Ready", `all ${replicas} entries and ${logic.wanted} logic pods are ready`];
  }
  if (!situation.wasReady && !isServing) return ["Pending", isDegraded ? message("Degraded") : message("Ready")];
  if (isDegraded) return ["Degraded", message("Degraded")];
  if (updated < active.length || migration.state !== "complete" || !logic.isRolledOut) {
    const waiting = migration.state === "complete" ? "" : `; ${message("SchemaMigrated")}`;
    const blocked = situation.update.blockade ? `; ${situation.update.blockade.message}` : "";
    return ["Updating", `${updated} of ${replicas} entries are of revision ${situation.revision}${waiting}${blocked}`];
  }
  if (active.length !== replicas || leaving.length > 0 || ready < replicas) {
    const draining = leaving.map(({ name, intent }) => `${name} is ${intent?.phase ?? ""}`);
    return ["Scaling", [`${ready} of ${replicas} entries are ready`, ...draining.slice(0, 3)].join("; ")];
  }
  return isServing ? ["Ready", report.waits[0] ?? "serving"] : ["Degraded", message("Ready")];
}

function podStatus(entry: ObservedEntry): PodStatus {
  const trouble = podTrouble(entry.pod);
  return {
    uid: entry.uid,
    name: entry.name,
    ...(entry.pod.spec.nodeName ? { node: entry.pod.spec.nodeName } : {}),
    revision: entry.revision,
    state: podState(entry),
    ...(entry.said ? { sessions: entry.said.sessions } : {}),
    restarts: entry.restarts,
    ...(trouble ? { message: trouble.slice(0, 500) } : {}),
  };
}

const STATES = [
  "Failed",
  "NotReady",
  "Purging",
  "Verifying",
  "Released",
  "Terminating",
  "Forcing",
  "Draining",
  "LbDetaching",
  "Cordoned",
  "Planned",
  "Pending",
  "Starting",
  "Ready",
] as const;
type PodState = (typeof STATES)[number];

function podState(entry: ObservedEntry): PodState {
  if (entry.isDead && !entry.isTerminating) return "Failed";
  if (entry.isTerminating) return "Terminating";
  if (entry.intent) return entry.intent.phase;
  if (entry.isReady) return "Ready";
  if (entry.probe?.cordoned && cordonRequest(entry.pod)) return "Cordoned";
  if (!entry.hasStarted) return entry.pod.spec.nodeName ? "Starting" : "Pending";
  return entry.restarts > 0 || entry.probe ? "NotReady" : "Starting";
}

function worstFirst(a: PodStatus, b: PodStatus): number {
  const rank = ({ state }: PodStatus) => STATES.indexOf(state as PodState);
  return rank(a) - rank(b) || a.name.localeCompare(b.name);
}
