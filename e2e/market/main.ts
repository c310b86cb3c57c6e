// SPDX-License-Identifier: Apache-2.0
// `make smoke-market`: what a marketplace's chat does, step by step, on the running cluster, through its LoadBalancer and the
// server API. Last line: `{steps, passed, failed, ...}` as JSON. Exit 1 unless every step passed.
import { parseArgs } from "node:util";
import { describeFault } from "../../scripts/cluster/fault.ts";
import { createProgress } from "../../scripts/cluster/progress.ts";
import { openKubeTools } from "../../scripts/up/kube-tools.ts";
import { clusterSite } from "./cluster-site.ts";
import { MARKET_STEPS } from "./steps/index.ts";
import { chosenSteps, walk } from "./walk.ts";

const progress = createProgress();

async function main(names: string, context: string | undefined): Promise<boolean> {
  const steps = chosenSteps(MARKET_STEPS, names);
  const site = await clusterSite(await openKubeTools({ progress }, context));
  try {
    progress.line(`${steps.length} steps through ${site.address}:443`);
    const report = await walk(site, steps, { onLine: (line) => progress.line(line) });
    console.log(JSON.stringify(report));
    return report.failed === 0;
  } finally {
    site.close();
  }
}

try {
  const { values } = parseArgs({ options: { steps: { type: "string", default: "" }, context: { type: "string" } } });
  process.exit((await main(values.steps, values.context)) ? 0 : 1);
} catch (error) {
  console.error(describeFault(error));
  process.exit(1);
}
