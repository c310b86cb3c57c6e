// SPDX-License-Identifier: Apache-2.0
// Grafana's JSON of a dashboard from rows of panels. Pure.

/** Grafana's name of a unit. */
export type Unit =
  | "short"
  | "s"
  | "bytes"
  | "percentunit"
  | "reqps"
  | "cps"
  | "ops"
  | "dateTimeFromNow"
  | "Bps"
  | "none";

/** One line, or family of lines, of a panel. */
export interface Query {
  /** PromQL. `$on` stands for the matchers of namespace and ImCluster, `$cluster` for those of the operator's own figures. */
  expr: string;
  /** `{{label}}` is replaced by Grafana. */
  legend: string;
}

export interface Panel {
  title: string;
  unit: Unit;
  queries: readonly Query[];
  /** What to make of it; shown on the panel's corner. */
  about?: string;
  /** One number instead of lines over time. */
  isNumber?: boolean;
}

export interface Row {
  title: string;
  panels: readonly Panel[];
}

export interface Dashboard {
  uid: string;
  title: string;
  rows: readonly Row[];
}

const ON = 'namespace=~"$namespace",imcluster=~"$imcluster"';
const CLUSTER = 'namespace=~"$namespace",name=~"$imcluster"';
const WIDTH = 24;
const HEIGHT = 7;
const NUMBER_HEIGHT = 4;
const SOURCE = { type: "prometheus", uid: "$datasource" };

/** What is marked in all panels of all dashboards. */
export const ANNOTATIONS: readonly { name: string; color: string; expr: string; title: string; text: string }[] = [
  {
    name: "Alerts",
    color: "red",
    expr: 'ALERTS{alertname=~"Im.+",alertstate="firing",severity=~"critical|warning",namespace=~"$namespace|"}',
    ...{ title: "{{alertname}}", text: "{{severity}} {{name}}{{imcluster}} {{pod}}" },
  },
  {
    name: "Drains",
    color: "orange",
    expr: 'changes(im_cluster_entries{$cluster,state="draining"}[1m]) > 0',
    ...{ title: "drain", text: "{{namespace}}/{{name}}" },
  },
  {
    name: "Rollouts",
    color: "blue",
    // A version that was not there five minutes before.
    expr: "count by (component, version) (im_build_info{$on}) unless count by (component, version) (im_build_info{$on} offset 5m)",
    ...{ title: "{{component}} {{version}}", text: "begins to run" },
  },
];

/** The query as Grafana gets it, its own variables still in it. */
export function expand(expr: string): string {
  return expr.replaceAll("$on", ON).replaceAll("$cluster", CLUSTER);
}

/** The query as Prometheus gets it, for everything there is, by rates over `rateInterval`. */
export function withoutVariables(expr: string, rateInterval: string): string {
  return expand(expr)
    .replaceAll(/\$(namespace|imcluster)/g, ".*")
    .replaceAll("$__rate_interval", rateInterval);
}

function panelJson(panel: Panel, id: number, at: { x: number; y: number; w: number; h: number }): object {
  return {
    id,
    type: panel.isNumber ? "stat" : "timeseries",
    title: panel.title,
    ...(panel.about ? { description: panel.about } : {}),
    datasource: SOURCE,
    gridPos: at,
    fieldConfig: { defaults: { unit: panel.unit, min: 0 }, overrides: [] },
    options: panel.isNumber ? {} : { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi" } },
    targets: panel.queries.map(({ expr, legend }, index) => ({
      refId: String.fromCharCode(65 + index),
      datasource: SOURCE,
      expr: expand(expr),
      legendFormat: legend,
    })),
  };
}

function rowPanels(row: Row, firstId: number, y: number): { panels: object[]; height: number } {
  const head = {
    id: firstId,
    type: "row",
    title: row.title,
    collapsed: false,
    panels: [],
    gridPos: { x: 0, y, w: WIDTH, h: 1 },
  };
  const perLine = Math.min(row.panels.length, 4);
  const w = Math.floor(WIDTH / perLine);
  const h = row.panels.every((panel) => panel.isNumber) ? NUMBER_HEIGHT : HEIGHT;
  const panels = row.panels.map((panel, index) => {
    const line = Math.floor(index / perLine);
    return panelJson(panel, firstId + 1 + index, { x: (index % perLine) * w, y: y + 1 + line * h, w, h });
  });
  return { panels: [head, ...panels], height: 1 + Math.ceil(row.panels.length / perLine) * h };
}

function variable(name: string, query: string): object {
  return {
    name,
    type: "query",
    datasource: SOURCE,
    query: { query, refId: name },
    refresh: 2,
    includeAll: true,
    multi: true,
    allValue: ".*",
    current: { text: "All", value: "$__all" },
  };
}

/** The dashboard as Grafana 9 and newer import it. */
export function dashboardJson(dashboard: Dashboard): string {
  const panels: object[] = [];
  let y = 0;
  for (const row of dashboard.rows) {
    const placed = rowPanels(row, panels.length + 1, y);
    panels.push(...placed.panels);
    y += placed.height;
  }
  const json = {
    uid: dashboard.uid,
    title: dashboard.title,
    tags: ["imcluster"],
    schemaVersion: 38,
    editable: true,
    refresh: "30s",
    time: { from: "now-1h", to: "now" },
    timezone: "browser",
    templating: {
      list: [
        { name: "datasource", type: "datasource", query: "prometheus", current: {}, hide: 0 },
        variable("namespace", "label_values(im_entry_connections, namespace)"),
        variable("imcluster", 'label_values(im_entry_connections{namespace=~"$namespace"}, imcluster)'),
      ],
    },
    annotations: {
      list: ANNOTATIONS.map(({ name, color: iconColor, expr, title: titleFormat, text: textFormat }) => {
        return { name, datasource: SOURCE, enable: true, iconColor, expr: expand(expr), titleFormat, textFormat };
      }),
    },
    panels,
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}
