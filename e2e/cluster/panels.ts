// SPDX-License-Identifier: Apache-2.0
// The queries of all dashboards, as Grafana asks them, of a Prometheus that watches a real cluster.
import { withoutVariables } from "../../scripts/gen/dashboards/grafana.ts";
import { DASHBOARDS } from "../../scripts/gen/dashboards/list.ts";
import type { PrometheusApi } from "../harness/prometheus.ts";

/** All that was done since the watching began is in it. */
const RATE_INTERVAL = "1h";

/** A query of a panel. */
export interface PanelQuery {
  /** Dashboard, row and panel, then what the legend says of it. */
  readonly title: string;
  readonly expr: string;
}

export const panelQueries = (): PanelQuery[] =>
  Object.entries(DASHBOARDS).flatMap(([name, { rows }]) =>
    rows.flatMap((row) =>
      row.panels.flatMap((panel) =>
        panel.queries.map(({ expr, legend }) => ({
          title: `${name} / ${row.title} / ${panel.title} / ${legend}`,
          expr: withoutVariables(expr, RATE_INTERVAL),
        })),
      ),
    ),
  );

/** Those that show nothing now. */
export async function emptyPanels(prometheus: PrometheusApi, queries: readonly PanelQuery[]): Promise<PanelQuery[]> {
  const empty: PanelQuery[] = [];
  for (const query of queries) {
    const samples = await prometheus.query(query.expr);
    if (!samples.some(({ value }) => Number.isFinite(value))) empty.push(query);
  }
  return empty;
}
