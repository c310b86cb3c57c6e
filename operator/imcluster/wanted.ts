// SPDX-License-Identifier: Apache-2.0
import type { ImCluster } from "../api/v1alpha1.ts";
import { desiredReplicas, type ScalingDecision, type ScalingHistory } from "./autoscaling.ts";
import { ANNOTATION } from "./names.ts";
import { isActive, isLeaving, isUnschedulable, type ObservedEntry } from "./observed.ts";

/** Everything that the number of entries depends on. */
export interface WantedFacts {
  cluster: ImCluster;
  /** What autoscaling decided; `undefined` when it is off. */
  scaling?: Pick<ScalingDecision, "desired"> | undefined;
}

/** All pods, instead of a name, in `spec.fencedEntries`. */
const EVERY_ENTRY = "*";
const HOUR_MS = 3_600_000;

/**
 * How many entries there should be: the one number that the plan, the rollout, the budget and the status read. None while the
 * cluster hibernates or all of it is fenced.
 */
export function wantedEntries({ cluster, scaling }: WantedFacts): number {
  const { hibernate, entry } = cluster.spec;
  if (hibernate || isEveryEntryFenced(cluster)) return 0;
  return scaling?.desired ?? entry.replicas;
}

/** The same number if `spec` took the place of the spec, as far as that is known beforehand. */
export function wantedBy(cluster: ImCluster, spec: ImCluster["spec"]): number {
  const { autoscaling, replicas } = spec.entry;
  const desired = cluster.status?.autoscaling?.desired ?? replicas;
  return wantedEntries({
    cluster: { ...cluster, spec },
    scaling: autoscaling && { desired: Math.min(autoscaling.max, Math.max(autoscaling.min, desired)) },
  });
}

export function isEveryEntryFenced({ spec }: ImCluster): boolean {
  return spec.fencedEntries?.includes(EVERY_ENTRY) ?? false;
}

/** Does the operator leave it alone? */
export function isPaused({ spec, metadata }: ImCluster): boolean {
  return spec.paused || metadata.annotations?.[ANNOTATION.paused] === "true";
}

/** A person says that the fleet is as dead as it looks. */
export function isPurgeForced({ metadata }: ImCluster): boolean {
  return metadata.annotations?.[ANNOTATION.forcePurge] === "true";
}

/** Is the pod to be cut off at once? */
export function isFenced({ spec }: ImCluster, podName: string): boolean {
  return spec.fencedEntries?.some((name) => name === EVERY_ENTRY || name === podName) ?? false;
}

/** What autoscaling decides from what is observed; `undefined` when it is off. Pure. */
export function decideScale(
  cluster: ImCluster,
  entries: readonly ObservedEntry[],
  revision: string,
  history: ScalingHistory | undefined,
  nowMs: number,
): ScalingDecision | undefined {
  const { autoscaling, maxConnectionsPerPod, replicas } = cluster.spec.entry;
  if (!autoscaling) return undefined;
  const active = entries.filter(isActive);
  // Without a status that remembers, what runs is not given up.
  const current = cluster.status?.autoscaling?.desired ?? Math.max(replicas, active.length);
  const isResting = isPaused(cluster) || wantedEntries({ cluster }) === 0;
  const drains = cluster.status?.drains ?? [];
  const isLate = (time: string | undefined) => nowMs - Date.parse(time ?? "") < HOUR_MS;
  return desiredReplicas({
    ...{ spec: autoscaling, current, connectionsPerPod: maxConnectionsPerPod, history, nowMs },
    connections: connectionsOf(entries),
    isComplete: !isResting && active.every((entry) => entry.probe !== undefined || !entry.hasStarted),
    isMoving: entries.some(isLeaving) || active.length !== current || active.some((one) => isUnsettled(one, revision)),
    goneLately: drains.filter(
      ({ reason, phase, startedAt }) => reason === "ScaleDown" && phase !== "Aborted" && isLate(startedAt),
    ).length,
  });
}

/** It comes or is about to be replaced. One for which no node has room does not come. */
function isUnsettled(entry: ObservedEntry, revision: string): boolean {
  return entry.revision !== revision || !(entry.isReady || isUnschedulable(entry));
}

/** Share of the connections of ready entries that is free, 0 to 100; `undefined` when none is ready. */
export function freeConnectionsPercent(cluster: ImCluster, entries: readonly ObservedEntry[]): number | undefined {
  const ready = entries.filter((entry) => isActive(entry) && entry.isReady).length;
  const capacity = ready * cluster.spec.entry.maxConnectionsPerPod;
  if (capacity === 0) return undefined;
  const connections = entries.reduce((sum, { isDead, said }) => sum + (isDead ? 0 : (said?.connections ?? 0)), 0);
  return Math.max(0, Math.floor(((capacity - connections) * 100) / capacity));
}

function connectionsOf(entries: readonly ObservedEntry[]): number {
  return entries.reduce((sum, { isDead, probe }) => sum + (isDead ? 0 : (probe?.connections ?? 0)), 0);
}
