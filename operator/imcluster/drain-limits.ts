// SPDX-License-Identifier: Apache-2.0
import type { ImCluster } from "../api/v1alpha1.ts";
import type { DrainLimits } from "./drain.ts";
import type { BudgetLimits } from "./reconnect-rate.ts";
import { durationMs } from "./units.ts";

/** `spec.entry.drain` in ms. */
export function drainLimits({ spec }: ImCluster): DrainLimits {
  const { window, deadline, onDeadline, lbDetach } = spec.entry.drain;
  return {
    windowMs: durationMs(window),
    deadlineMs: durationMs(deadline),
    onDeadline: onDeadline === "Hold" ? "Hold" : "Force",
    lbDetachMs: durationMs(lbDetach),
  };
}

/** `spec.entry.drain.reconnectBudget`. */
export function budgetLimits({ spec }: ImCluster): BudgetLimits {
  const { maxPerSecond, minPerSecond, targets } = spec.entry.drain.reconnectBudget;
  return {
    maxPerSecond,
    minPerSecond: Math.min(minPerSecond, maxPerSecond),
    loginP99Ms: durationMs(targets.loginP99),
    loginFailureRatio: targets.loginFailurePercent / 100,
  };
}
