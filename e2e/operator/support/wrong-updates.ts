// SPDX-License-Identifier: Apache-2.0
import type { Wrong } from "./wrong-specs.ts";

const entry = (fields: object) => ({ entry: fields });

/** Updates of the entries. */
export const WRONG_UPDATES: readonly Wrong[] = [
  {
    what: "a skew of nothing",
    spec: entry({ update: { maxSkewPercent: 0 } }),
    field: "spec.entry.update.maxSkewPercent",
    remedy: /between 10 and 1000/,
  },
  {
    what: "an unknown way to update",
    spec: entry({ update: { strategy: "RollingUpdate" } }),
    field: "spec.entry.update.strategy",
    remedy: /BlueGreen, Batched or OnDelete/,
  },
  ...["0%", "101%", "0", "201", "1.5", "many"].map((batch) => ({
    what: `a batch of ${batch}`,
    spec: entry({ update: { batch } }),
    field: "spec.entry.update.batch",
    remedy: /from 1% to 100%, for example 25%/,
  })),
  {
    what: "no canary",
    spec: entry({ update: { canary: { entries: 0 } } }),
    field: "spec.entry.update.canary.entries",
    remedy: /between 1 and 20/,
  },
  {
    what: "a soak of two days",
    spec: entry({ update: { canary: { soak: "48h" } } }),
    field: "spec.entry.update.canary.soak",
    remedy: /at most 24h/,
  },
  {
    what: "a soak without a unit",
    spec: entry({ update: { canary: { soak: "10" } } }),
    field: "spec.entry.update.canary.soak",
    remedy: /duration such as 10m/,
  },
  {
    what: "answers that may take no longer",
    spec: entry({ update: { canary: { abortOn: { ackP99IncreasePercent: 0 } } } }),
    field: "spec.entry.update.canary.abortOn.ackP99IncreasePercent",
    remedy: /between 1 and 1000/,
  },
  {
    what: "logins that succeed more than always",
    spec: entry({ update: { canary: { abortOn: { reconnectSuccessPercent: 101 } } } }),
    field: "spec.entry.update.canary.abortOn.reconnectSuccessPercent",
    remedy: /between 0 and 100/,
  },
  {
    what: "no window at all",
    spec: entry({ update: { windows: [] } }),
    field: "spec.entry.update.windows",
    remedy: /at least 1 item/,
  },
  {
    what: "a window that never ends",
    spec: entry({ update: { windows: [{ cron: "0 2 * * *", duration: "200h" }] } }),
    field: "spec.entry.update.windows[0].duration",
    remedy: /between 1m and 168h/,
  },
  {
    what: "approval by somebody else",
    spec: entry({ update: { approval: { mode: "Ask" } } }),
    field: "spec.entry.update.approval.mode",
    remedy: /Auto or Manual/,
  },
  {
    what: "approval above less than nobody",
    spec: entry({ update: { approval: { manualAboveSessions: -1 } } }),
    field: "spec.entry.update.approval.manualAboveSessions",
    remedy: /not be negative/,
  },
];
