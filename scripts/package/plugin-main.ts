// SPDX-License-Identifier: Apache-2.0
// `make plugin`: kubectl im as build/kubectl-im-VERSION.tgz. The last line is JSON.
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describeFault } from "../cluster/fault.ts";
import { PROJECT_ROOT } from "../cluster/paths.ts";
import { createProgress } from "../cluster/progress.ts";
import { packPlugin } from "./plugin.ts";

try {
  const folder = join(PROJECT_ROOT, "build");
  mkdirSync(folder, { recursive: true });
  const path = await packPlugin(folder, { progress: createProgress() });
  console.log(JSON.stringify({ path, bytes: statSync(path).size }));
} catch (error) {
  console.error(describeFault(error));
  process.exit(1);
}
