// SPDX-License-Identifier: Apache-2.0

/** Entries that there are before and after each scenario. */
export const ENTRIES = 3;

/** `spec.entry` that two cores can follow, and by which a dead connection is noticed in 20 s. */
export const PACE = {
  pingInterval: "10s",
  drain: {
    ...{ window: "15s", deadline: "60s", lbDetach: "2s" },
    reconnectBudget: { maxPerSecond: 100, minPerSecond: 20 },
  },
} as const;
