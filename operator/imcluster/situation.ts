// SPDX-License-Identifier: Apache-2.0
import { isTrue } from "../api/conditions.ts";
import { DEPLOYMENTS, type Deployment, STATEFUL_SETS } from "../kube/types.ts";
import { cordonRequest } from "./cordon-requests.ts";
import { type MigrationState, migrationState } from "./migration.ts";
import { isActive, isLeaving, isWaitingToLeave, type ObservedEntry, podTrouble } from "./observed.ts";
import type { ObservedCluster } from "./observed-cluster.ts";
import { entryRevision } from "./resources/entry-pod.ts";
import { extlogicDeployment } from "./resources/extlogic.ts";
import { logicDeployment } from "./resources/logic.ts";
import { isRolledOut } from "./rollout.ts";
import { missingReferences } from "./secrets.ts";
import { gateOf } from "./update-facts.ts";
import type { Gate } from "./update-gate.ts";
import { wantedEntries } from "./wanted.ts";

/** A pod that takes longer than this to become ready is in trouble. */
const STARTING_MS = 60_000;

export interface WorkloadSituation {
  wanted: number;
  ready: number;
  isRolledOut: boolean;
  exists: boolean;
}

/** Figures and judgements that conditions, phase and columns share. */
export interface Situation {
  active: ObservedEntry[];
  leaving: ObservedEntry[];
  /** That take new clients: active ones, and those that are to go and wait for others to take their place. */
  ready: number;
  /** Active ones that are ready, or should be by now. */
  established: number;
  updated: number;
  sessions: number;
  revision: string;
  logic: WorkloadSituation;
  extlogic: WorkloadSituation;
  migration: MigrationState;
  missing: string[];
  /** Embedded servers that are ready; `undefined` for external ones. */
  postgresReady: boolean | undefined;
  redisReady: boolean | undefined;
  wasReady: boolean;
  update: Gate;
  /** `<pod>: <what is wrong>`, of active entries that are not merely starting. */
  troubles: string[];
}

export function situationOf(observed: ObservedCluster): Situation {
  const { cluster, context, objects, entries } = observed;
  const revision = entryRevision(context);
  const active = entries.filter(isActive);
  const embeddedReady = (isExternal: boolean, name: string) =>
    isExternal ? undefined : (objects.get(STATEFUL_SETS, name)?.status?.readyReplicas ?? 0) > 0;
  return {
    active,
    leaving: entries.filter(isLeaving),
    ready: entries.filter((entry) => entry.isReady && (isActive(entry) || isWaitingToLeave(entry))).length,
    established: active.filter((entry) => entry.isReady || !isStarting(entry, observed.nowMs)).length,
    updated: active.filter((entry) => entry.revision === revision).length,
    sessions: entries.reduce((sum, entry) => sum + (entry.isDead ? 0 : (entry.said?.sessions ?? 0)), 0),
    revision,
    logic: workload(observed, logicDeployment(context)),
    extlogic: workload(observed, extlogicDeployment(context)),
    migration: migrationState(observed),
    missing: missingReferences(cluster, observed.secrets, observed.configMaps),
    postgresReady: embeddedReady(cluster.spec.postgres.urlSecretRef !== undefined, context.names.postgres),
    redisReady: embeddedReady(cluster.spec.redis.urlSecretRef !== undefined, context.names.redis),
    wasReady: wasReady(observed),
    update: gateOf(observed, wantedEntries(observed)),
    troubles: active.flatMap((entry) => troubleOf(entry, observed.nowMs)),
  };
}

function workload(observed: ObservedCluster, wanted: Deployment): WorkloadSituation {
  const actual = observed.objects.get(DEPLOYMENTS, wanted.metadata.name);
  const count = wanted.spec.replicas ?? 1;
  return {
    wanted: count,
    ready: Math.min(actual?.status?.readyReplicas ?? 0, count),
    isRolledOut: isRolledOut(wanted, actual),
    exists: actual !== undefined,
  };
}

/** Once it served, it is no longer Pending, whatever happens. */
function wasReady({ cluster }: ObservedCluster): boolean {
  const { phase, conditions } = cluster.status ?? {};
  return isTrue(conditions, "Ready") || !["Pending", "Hibernated", "Paused", undefined].includes(phase);
}

function isStarting(entry: ObservedEntry, nowMs: number): boolean {
  const ageMs = nowMs - Date.parse(entry.pod.metadata.creationTimestamp ?? "");
  return ageMs <= STARTING_MS && entry.restarts === 0;
}

function troubleOf(entry: ObservedEntry, nowMs: number): string[] {
  if (entry.isReady) return [];
  if (entry.probe && cordonRequest(entry.pod)) return [`${entry.name} takes no new connections: by request`];
  const said = podTrouble(entry.pod);
  if (said) return [`${entry.name}: ${said}`];
  return isStarting(entry, nowMs) ? [] : [`${entry.name} is not ready`];
}
