// SPDX-License-Identifier: Apache-2.0
import type { ConditionStatus } from "./v1alpha1.ts";

export const CONDITION_TYPES = [
  "Ready",
  "Progressing",
  "Degraded",
  "EntriesReady",
  "LogicReady",
  "StoreReady",
  "RouterReady",
  "RouterConsistent",
  "LoadBalancerReady",
  "DataPlaneSafe",
  "SchemaMigrated",
  "EmbeddedDatastores",
  "UpdateBlocked",
  "ScalingLimited",
  "Hibernated",
  "DrainVerified",
  "Paused",
] as const;
export type ConditionType = (typeof CONDITION_TYPES)[number];

/** What is true now; times and generation are added by {@link mergeConditions}. */
export interface ConditionFacts {
  type: ConditionType;
  status: ConditionStatus["status"];
  /** One CamelCase word for programs. */
  reason: string;
  /** One sentence for people. Without figures that change all the time: each change is a write. */
  message: string;
}

const MAX_MESSAGE = 4096;

/** Conditions with times: a transition time only moves when the status of that type changes. */
export function mergeConditions(
  previous: readonly ConditionStatus[] | undefined,
  facts: readonly ConditionFacts[],
  generation: number,
  nowMs: number,
): ConditionStatus[] {
  return facts.map(({ type, status, reason, message }) => {
    const old = previous?.find((condition) => condition.type === type);
    const isSame = old?.status === status;
    return {
      type,
      status,
      reason,
      message: message.slice(0, MAX_MESSAGE),
      lastTransitionTime: isSame ? old.lastTransitionTime : rfc3339Seconds(nowMs),
      observedGeneration: generation,
    };
  });
}

/** The form in which the API server keeps metav1.Time. */
export function rfc3339Seconds(atMs: number): string {
  return new Date(atMs).toISOString().replace(/\.\d+Z$/, "Z");
}

export function conditionOf(
  conditions: readonly ConditionStatus[] | undefined,
  type: ConditionType,
): ConditionStatus | undefined {
  return conditions?.find((condition) => condition.type === type);
}

export function isTrue(conditions: readonly ConditionStatus[] | undefined, type: ConditionType): boolean {
  return conditionOf(conditions, type)?.status === "True";
}
