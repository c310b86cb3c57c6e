// SPDX-License-Identifier: Apache-2.0
// Writes every generated file, or with --check says which are not current and exits 1.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openApiText } from "../../logic/server-api/openapi.ts";
import { OPERATIONS } from "../../logic/server-api/operations/index.ts";
import { protoText } from "../../logic/server-api/proto-text.ts";
import { fillMarks, specTable, valueGroups, valuesTable } from "./chart-readme.ts";
import { chartSchema, specSchema } from "./chart-schema.ts";
import { generateCrdTypes } from "./crd-types.ts";
import { dashboardJson } from "./dashboards/grafana.ts";
import { DASHBOARDS } from "./dashboards/list.ts";
import { metricsPage } from "./metrics-doc.ts";
import { messagesSource } from "./proto.ts";

interface Generated {
  path: string;
  /** @param before what the file holds, "" when there is none */
  content: (before: string) => string;
}

const root = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const copyOf = (path: string) => (): string => readFileSync(root(path), "utf8");

const valuesYaml = (chart: string): string => readFileSync(root(`charts/${chart}/values.yaml`), "utf8");
const valuesOf = (chart: string): string => valuesTable(valuesYaml(chart));

const GENERATED: readonly Generated[] = [
  { path: "proto/gen/messages.ts", content: messagesSource },
  {
    path: "operator/api/v1alpha1.ts",
    content: () => generateCrdTypes(readFileSync(root("crds/imcluster.yaml"), "utf8")),
  },
  {
    path: "charts/im-cluster/values.schema.json",
    content: () => chartSchema(readFileSync(root("crds/imcluster.yaml"), "utf8")),
  },
  { path: "charts/im-operator/files/imcluster.yaml", content: copyOf("crds/imcluster.yaml") },
  { path: "charts/im-operator/files/value-groups.txt", content: () => valueGroups(valuesYaml("im-operator")) },
  {
    path: "charts/im-operator/README.md",
    content: (before) => fillMarks(before, { values: valuesOf("im-operator") }),
  },
  {
    path: "charts/im-cluster/README.md",
    content: (before) => {
      const spec = specTable(specSchema(readFileSync(root("crds/imcluster.yaml"), "utf8")));
      return fillMarks(before, { values: valuesOf("im-cluster"), spec });
    },
  },
  { path: "docs/metrics.md", content: metricsPage },
  ...Object.entries(DASHBOARDS).map(([name, dashboard]) => ({
    path: `charts/im-operator/dashboards/${name}.json`,
    content: () => dashboardJson(dashboard),
  })),
  { path: "proto/im/api/v1/server_api.proto", content: (before) => protoText(OPERATIONS, before) },
  { path: "docs/openapi.json", content: () => openApiText(OPERATIONS) },
  { path: "charts/im-operator/files/rbac.yaml", content: copyOf("operator/rbac.yaml") },
];

function textOf({ path }: Generated): string {
  return existsSync(root(path)) ? readFileSync(root(path), "utf8") : "";
}

function isCurrent(file: Generated): boolean {
  const before = textOf(file);
  return before !== "" && before === file.content(before);
}

const stale = GENERATED.filter((file) => !isCurrent(file));
if (process.argv.includes("--check")) {
  for (const file of stale) console.error(`${file.path} is not current: run \`make gen\` and commit the result`);
  process.exit(stale.length === 0 ? 0 : 1);
}
for (const file of stale) {
  writeFileSync(root(file.path), file.content(textOf(file)));
  console.error(`wrote ${file.path}`);
}
