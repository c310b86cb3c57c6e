// SPDX-License-Identifier: Apache-2.0
import type { ImCluster } from "../api/v1alpha1.ts";
import type { DrainLimits } from "./drain.ts";
import { HANDED_OUT } from "./reconnect-budget.ts";
import type { BudgetLimits } from "./reconnect-rate.ts";
import { durationMs } from "./units.ts";

const AUTO_MIN_MS = 2_000;
const AUTO_MAX_MS = 300_000;

/** What `lbDetach` says, or what the last drain showed and a second more. */
function lbDetachMs({ spec, status }: Pick<ImCluster, "spec" | "status">): number {
  const { lbDetach } = spec.entry.drain;
  if (lbDetach !== "Auto") return durationMs(lbDetach);
  const { detachSeconds = 0 } = status?.dataPlane ?? {};
  return Math.min(AUTO_MAX_MS, Math.max(AUTO_MIN_MS, (detachSeconds + 1) * 1000));
}

/** `spec.entry.drain` in ms. */
export function drainLimits(cluster: Pick<ImCluster, "spec" | "status">): DrainLimits {
  const { window, deadline, onDeadline, reconnectBudget } = cluster.spec.entry.drain;
  return {
    windowMs: durationMs(window),
    deadlineMs: durationMs(deadline),
    onDeadline: onDeadline === "Hold" ? "Hold" : "Force",
    lbDetachMs: lbDetachMs(cluster),
    maxPerSecond: reconnectBudget.maxPerSecond * HANDED_OUT,
  };
}

/** `spec.entry.drain.reconnectBudget`. */
export function budgetLimits({ spec }: Pick<ImCluster, "spec">): BudgetLimits {
  const { maxPerSecond, minPerSecond, targets } = spec.entry.drain.reconnectBudget;
  return {
    maxPerSecond,
    minPerSecond: Math.min(minPerSecond, maxPerSecond),
    loginP99Ms: durationMs(targets.loginP99),
    loginFailureRatio: targets.loginFailurePercent / 100,
  };
}
