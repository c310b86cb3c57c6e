// SPDX-License-Identifier: Apache-2.0
// `make smoke`: people chat through the LoadBalancer of the running cluster while an entry and a logic pod are killed.
// Last line: figures as JSON. Exit 1 when a promise was broken.
import { parseArgs } from "node:util";
import { wholeNumber } from "../../scripts/cluster/arguments.ts";
import { describeFault } from "../../scripts/cluster/fault.ts";
import { createProgress } from "../../scripts/cluster/progress.ts";
import { DEMO_NAME, DEMO_NAMESPACE, type DemoAccess, demoAccess } from "../../scripts/up/demo.ts";
import { type KubeTools, openKubeTools } from "../../scripts/up/kube-tools.ts";
import { pushSandboxLog } from "../../scripts/up/push-sandbox.ts";
import { type NemesisView, type Pair, type PairsReport, pairsFigures, runPairs } from "../workload/pairs.ts";
import { LOAD_CONTENT_TYPE } from "../workload/peer.ts";
import type { ClientTarget } from "../workload/sdk-transport.ts";
import { type PushFigures, parsePushLog, pushFigures } from "./pushes.ts";

const MESSAGES = 10_000;
/** Slow enough that the faults fall into the middle of it, fast enough for a minute's run. */
const RATE_PER_SECOND = 250;
/** For pushes that are on their way when everything else is settled. */
const PUSH_WAIT_MS = 20_000;
const PUSH_POLL_MS = 1000;
/** The node's clock, by which its logs are cut, may differ from ours. */
const CLOCKS_APART_MS = 60_000;

const progress = createProgress();

interface PodList {
  items: { metadata: { name: string }; status?: { conditions?: { type: string; status: string }[] } }[];
}

/** Ends one ready pod of a component without any grace: the kubelet kills its processes. */
async function killPod(tools: KubeTools, component: string, run: NemesisView): Promise<void> {
  const selector = `imcluster.io/cluster=${DEMO_NAME},app.kubernetes.io/component=${component}`;
  const pods = await tools.getJson<PodList>(["pods", "-n", DEMO_NAMESPACE, "-l", selector]);
  const ready = pods.items.filter((pod) =>
    pod.status?.conditions?.some((c) => c.type === "Ready" && c.status === "True"),
  );
  const victim = ready[0]?.metadata.name;
  if (victim === undefined) throw new Error(`no ${component} pod is ready`);
  progress.line(`killing ${victim}`);
  run.note(`kill -9 ${victim}`);
  await tools.kubectl(["delete", "pod", victim, "-n", DEMO_NAMESPACE, "--grace-period=0", "--force", "--wait=false"]);
}

function pairsThrough(access: DemoAccess): Pair[] {
  const trust = { ca: access.caPem, servername: access.serverName };
  const tcp: ClientTarget = { url: `tls://${access.address}:443`, ...trust };
  const ws: ClientTarget = { url: `wss://${access.address}:443/ws`, ...trust };
  const sse: ClientTarget = { url: `sse+https://${access.address}:443`, ...trust };
  const poll: ClientTarget = { url: `poll+https://${access.address}:443`, ...trust };
  return [
    { a: tcp, b: tcp },
    { a: ws, b: ws },
    { a: sse, b: tcp },
    { a: ws, b: poll },
  ];
}

/**
 * What the push provider in the cluster was told about those who were away; waits for what is still on its way.
 * Undefined in a cluster whose demo has no sandbox.
 */
async function waitPushes(
  tools: KubeTools,
  { events }: PairsReport,
  startedMs: number,
): Promise<PushFigures | undefined> {
  const deadlineMs = performance.now() + PUSH_WAIT_MS;
  for (;;) {
    const log = await pushSandboxLog(tools, performance.now() - startedMs + CLOCKS_APART_MS);
    if (log === undefined) return undefined;
    const figures = pushFigures(events, parsePushLog(log));
    if (figures.pushesLate === 0 || performance.now() > deadlineMs) return figures;
    await new Promise((resolve) => setTimeout(resolve, PUSH_POLL_MS));
  }
}

async function smoke(messages: number, ratePerSecond: number, context: string | undefined): Promise<boolean> {
  const tools = await openKubeTools({ progress }, context);
  const access = await demoAccess(tools);
  progress.line(`${messages} messages through ${access.address}:443, certificate of ${access.serverName} verified`);
  const startedMs = performance.now();
  const report = await runPairs({
    pairs: pairsThrough(access),
    getToken: (userId) => access.mintToken(userId),
    messages,
    ratePerSecond,
    offline: [{ pair: 0, side: "b", from: 1 / 3, to: 2 / 3 }],
    settleTimeoutMs: 90_000,
    contentType: LOAD_CONTENT_TYPE,
    async nemesis(run) {
      await run.reached(0.25);
      await killPod(tools, "entry", run);
      await run.reached(0.6);
      await killPod(tools, "logic", run);
    },
    onProgress: (sent, total) => {
      if (sent % 1_000 === 0) progress.line(`${sent} of ${total} sent`);
    },
  });
  for (const violation of report.violations.slice(0, 20)) console.error(JSON.stringify(violation));
  const pushes = await waitPushes(tools, report, startedMs);
  const figures = { ...pairsFigures(report), ...pushes };
  console.log(JSON.stringify(figures));
  const clean = figures.lost === 0 && figures.duplicated === 0 && figures.reordered === 0 && figures.corrupted === 0;
  const isTold = pushes === undefined || (pushes.pushes > 0 && pushes.pushesLate === 0);
  return clean && isTold && figures.sent === messages && figures.acked === messages && figures.delivered === messages;
}

try {
  const { values } = parseArgs({
    options: { messages: { type: "string" }, rate: { type: "string" }, context: { type: "string" } },
  });
  const messages = wholeNumber("MESSAGES", values.messages ?? String(MESSAGES));
  const rate = wholeNumber("RATE", values.rate ?? String(RATE_PER_SECOND));
  const kept = await smoke(messages, rate, values.context);
  process.exit(kept ? 0 : 1);
} catch (error) {
  console.error(describeFault(error));
  process.exit(1);
}
