// SPDX-License-Identifier: Apache-2.0
// What is said in the terminal of alerts that come and go.
import type { ActiveAlert } from "../../e2e/harness/prometheus.ts";

const RUNBOOK_IN_TREE = /\/(docs\/runbooks\/\w+\.md)$/;

const keyOf = ({ labels }: ActiveAlert): string =>
  JSON.stringify(Object.entries(labels).sort(([a], [b]) => a.localeCompare(b)));

const subjectOf = ({ labels }: ActiveAlert): string => {
  const named = [labels.namespace, labels.imcluster ?? labels.name].filter((word) => word !== undefined).join("/");
  return named === "" ? "" : ` (${named})`;
};

/** The place of an alert's runbook in this tree, as its `runbook_url` says; undefined when it says none. */
export const runbookOf = (alert: ActiveAlert): string | undefined =>
  RUNBOOK_IN_TREE.exec(alert.annotations.runbook_url ?? "")?.[1];

/** A line for each alert that began to fire, and for each that is over. Pure. */
export function newsOf(before: readonly ActiveAlert[], now: readonly ActiveAlert[]): string[] {
  const firing = (alerts: readonly ActiveAlert[]): Map<string, ActiveAlert> =>
    new Map(alerts.filter(({ state }) => state === "firing").map((alert) => [keyOf(alert), alert]));
  const [then, current] = [firing(before), firing(now)];
  const began = [...current].filter(([key]) => !then.has(key)).map(([, alert]) => alert);
  const over = [...then].filter(([key]) => !current.has(key)).map(([, alert]) => alert);
  return [
    ...began.map((alert) => {
      const { labels, annotations } = alert;
      const runbook = runbookOf(alert) ?? annotations.runbook_url ?? "none";
      const what = annotations.summary ?? "";
      return `${labels.alertname} fires (${labels.severity ?? "no severity"}): ${what}. What to do: ${runbook}`;
    }),
    ...over.map((alert) => `${alert.labels.alertname}${subjectOf(alert)} is over`),
  ];
}
