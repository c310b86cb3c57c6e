// SPDX-License-Identifier: Apache-2.0
// An im-operator of an earlier version: what is new since is taken out of today's chart.
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { chartPath } from "./helm.ts";

export const PREVIOUS_VERSION = "0.0.9";
/** A group of values, its templates, and a field of the CRD that it does not have. */
const LACKS = {
  values: "monitoring",
  files: ["templates/monitoring.yaml", "templates/dashboards.yaml", "templates/values-check.yaml", "README.md"],
  field: "presence",
} as const;

interface Crd {
  spec: {
    versions: { schema: { openAPIV3Schema: { properties: { spec: { properties: Record<string, unknown> } } } } }[];
  };
}

function edit<T>(path: string, change: (content: T) => void): void {
  const content = parse(readFileSync(path, "utf8"), { merge: true, maxAliasCount: -1 }) as T;
  change(content);
  writeFileSync(
    path,
    path.endsWith(".json") ? JSON.stringify(content) : stringify(content, { aliasDuplicateObjects: false }),
  );
}

/** Writes it to `folder` and returns its path. */
export function writePreviousChart(folder: string): string {
  const chart = join(folder, "im-operator");
  cpSync(chartPath("im-operator"), chart, { recursive: true });
  for (const file of LACKS.files) rmSync(join(chart, file));
  writeFileSync(join(chart, "templates/NOTES.txt"), "Installed.\n");
  edit<Record<string, unknown>>(join(chart, "Chart.yaml"), (content) => {
    Object.assign(content, { version: PREVIOUS_VERSION, appVersion: PREVIOUS_VERSION });
  });
  edit<Record<string, unknown>>(join(chart, "values.yaml"), (content) => {
    delete content[LACKS.values];
  });
  edit<{ properties: Record<string, unknown> }>(join(chart, "values.schema.json"), ({ properties }) => {
    delete properties[LACKS.values];
  });
  edit<Crd>(join(chart, "files/imcluster.yaml"), ({ spec }) => {
    for (const { schema } of spec.versions) delete schema.openAPIV3Schema.properties.spec.properties[LACKS.field];
  });
  return chart;
}
