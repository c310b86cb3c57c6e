// SPDX-License-Identifier: Apache-2.0
// `make package`: both charts as archives in build/charts. The last line is JSON.
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ClusterFault, describeFault } from "../cluster/fault.ts";
import { PROJECT_ROOT } from "../cluster/paths.ts";
import { createProgress } from "../cluster/progress.ts";
import { packageCharts } from "./charts.ts";

try {
  const { values } = parseArgs({ options: { key: { type: "string" }, keyring: { type: "string" } } });
  const { key, keyring } = values;
  if ((key === undefined) !== (keyring === undefined))
    throw new ClusterFault("KEY and KEYRING go together.", "Name both, or neither for archives without a signature.");
  const folder = join(PROJECT_ROOT, "build/charts");
  mkdirSync(folder, { recursive: true });
  const signing = key !== undefined && keyring !== undefined ? { key, keyring } : undefined;
  const paths = await packageCharts(folder, { progress: createProgress() }, signing);
  console.log(JSON.stringify({ charts: paths.map((path) => ({ path, bytes: statSync(path).size })) }));
} catch (error) {
  console.error(describeFault(error));
  process.exit(1);
}
