// SPDX-License-Identifier: Apache-2.0
import type { EntrySpec } from "../api/v1alpha1.ts";
import { DEPLOYMENTS, type Deployment } from "../kube/types.ts";
import type { UpdateLimits, UpdateStrategy } from "./entry-plan.ts";
import { migrationState } from "./migration.ts";
import type { ObservedCluster } from "./observed-cluster.ts";
import { logicDeployment } from "./resources/logic.ts";
import { isSubset } from "./subset.ts";

/** Has a Deployment become what was wanted, with every replica of the newest template and ready? */
export function isRolledOut(wanted: Deployment, actual: Deployment | undefined): boolean {
  if (!actual || !isSubset(wanted, actual)) return false;
  const { observedGeneration = 0, replicas = 0, updatedReplicas = 0, readyReplicas = 0 } = actual.status ?? {};
  const count = wanted.spec.replicas ?? 1;
  const isSeen = observedGeneration >= (actual.metadata.generation ?? 0);
  return isSeen && updatedReplicas >= count && readyReplicas >= count && replicas === updatedReplicas;
}

/** Entries follow logic: they speak to it, so it knows the new version first. */
export function mayRollOutEntries(observed: ObservedCluster): boolean {
  if (migrationState(observed).state !== "complete") return false;
  const wanted = logicDeployment(observed.context);
  return isRolledOut(wanted, observed.objects.get(DEPLOYMENTS, wanted.metadata.name));
}

/** Pods that a share such as `25%`, or a number, means; at least 1, at most all. */
export function batchOf(batch: string, replicas: number): number {
  const figure = Number.parseInt(batch, 10);
  const pods = batch.endsWith("%") ? Math.ceil((replicas * figure) / 100) : figure;
  return Math.max(1, Math.min(replicas, pods));
}

export function updateLimits({ update, maxConnectionsPerPod }: EntrySpec, replicas: number): UpdateLimits {
  return {
    strategy: update.strategy as UpdateStrategy,
    batch: batchOf(update.batch, replicas),
    maxConnectionsPerPod,
  };
}
