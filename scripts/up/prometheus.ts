// SPDX-License-Identifier: Apache-2.0
// `make prometheus`: a Prometheus beside the running cluster, with our alerts, until Ctrl-C. Says which alert begins, and where its runbook is.
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { ActiveAlert } from "../../e2e/harness/prometheus.ts";
import { describeFault } from "../cluster/fault.ts";
import { createProgress } from "../cluster/progress.ts";
import { newsOf } from "./alert-news.ts";
import { openKubeTools } from "./kube-tools.ts";
import { type ClusterWatch, watchCluster } from "./watch-cluster.ts";

const LOOK_MS = 1000;

const progress = createProgress();
const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => {
    interrupted.abort();
    process.once(signal, () => process.exit(130));
  });

const describeWatch = (url: string): string => `
Prometheus watches the cluster.

  alerts    ${url}/alerts
  targets   ${url}/targets
  figures   ${url}/graph       (docs/metrics.md lists them)

An alert that begins or is over is told here. Ctrl-C ends it.
`;

/** Tells what comes and goes, until Ctrl-C. @throws Error when Prometheus ends by itself */
async function tell({ server }: ClusterWatch): Promise<void> {
  const { signal } = interrupted;
  const died = server.ended().then((how) => Promise.reject(new Error(how)));
  const watching = (async () => {
    let before: readonly ActiveAlert[] = [];
    while (!signal.aborted) {
      // Busy for a moment: nothing has changed.
      const now = await server.alerts().catch(() => before);
      for (const line of newsOf(before, now)) progress.line(line);
      before = now;
      await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
  })();
  await Promise.race([watching, died]);
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { context: { type: "string" } } });
  const watch = await watchCluster(
    await openKubeTools({ progress, signal: interrupted.signal }, values.context),
    progress,
  );
  try {
    console.error(describeWatch(watch.server.url));
    await tell(watch);
  } finally {
    await watch.stop();
  }
}

try {
  await main();
} catch (error) {
  console.error(describeFault(error));
  process.exitCode = 1;
}
