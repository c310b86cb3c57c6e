// SPDX-License-Identifier: Apache-2.0
// `make package`: both charts as archives in build/charts, and with PUSH in a registry. The last line is JSON.
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ClusterFault, describeFault } from "../cluster/fault.ts";
import { PROJECT_ROOT } from "../cluster/paths.ts";
import { createProgress } from "../cluster/progress.ts";
import { packageCharts } from "./charts.ts";
import { publishCharts } from "./publish.ts";

try {
  const { values } = parseArgs({
    options: { key: { type: "string" }, keyring: { type: "string" }, push: { type: "string" } },
  });
  const { key, keyring, push } = values;
  if ((key === undefined) !== (keyring === undefined))
    throw new ClusterFault("KEY and KEYRING go together.", "Name both, or neither for archives without a signature.");
  if (push !== undefined && !/^oci:[/][/][^/]+/.test(push))
    throw new ClusterFault(
      `PUSH=${push} is no OCI registry.`,
      "Name one, for example PUSH=oci://ghcr.io/imcluster/charts.",
    );
  const folder = join(PROJECT_ROOT, "build/charts");
  mkdirSync(folder, { recursive: true });
  const signing = key !== undefined && keyring !== undefined ? { key, keyring } : undefined;
  const context = { progress: createProgress() };
  const paths = await packageCharts(folder, context, signing);
  const pushed = push === undefined ? {} : { pushed: await publishCharts(paths, { url: push }, context) };
  console.log(JSON.stringify({ charts: paths.map((path) => ({ path, bytes: statSync(path).size })), ...pushed }));
} catch (error) {
  console.error(describeFault(error));
  process.exit(1);
}
