// SPDX-License-Identifier: Apache-2.0
// `make network-policies`: NetworkPolicies of a fleet and of the operator on the local cluster, held up by kube-router: every pair at every port
// is as the evaluator says, and people chat meanwhile. Last line: figures as JSON. Exit 1 when something differs.
import { startEnforcer } from "../../scripts/cluster/enforcer.ts";
import { describeFault } from "../../scripts/cluster/fault.ts";
import { createProgress } from "../../scripts/cluster/progress.ts";
import { demoAccess } from "../../scripts/up/demo.ts";
import { proveDelivery } from "../../scripts/up/prove.ts";
import { endWhenInterrupted } from "../harness/interrupt.ts";
import { type Check, check, lineOf, verdictOf } from "../security/checks.ts";
import { askWebhook, chat, smoke } from "./life.ts";
import { compare, type Looked, scrape } from "./looks.ts";
import { clean, patch, podsIn, prepare, release, type Scene } from "./scene.ts";
import { outsideSpots, podSpots } from "./spots.ts";
import { Stations } from "./stations.ts";

/** One that denies, one for each of six components, and the operator's. */
const POLICIES = 8;

/** Other answers than the defaults to most of what a spec may say. Only looked at, not chatted through: it closes the door to whoever does. */
const NARROW = {
  clientsFrom: [{ ipBlock: { cidr: "20.0.0.0/8", except: ["20.9.0.0/16"] } }],
  metricsFrom: [],
  apiFrom: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "backend" } } }],
  providersTo: [{ ipBlock: { cidr: "17.0.0.0/8" } }],
  dnsTo: [{ ipBlock: { cidr: "169.254.20.10/32" } }],
  alsoTo: [
    {
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "data" } },
      podSelector: { matchLabels: { app: "redis" } },
      ports: [6379],
    },
  ],
};

const progress = createProgress();
const checks: Check[] = [];

function told(found: readonly Check[]): void {
  checks.push(...found);
  for (const one of found) progress.line(lineOf(one));
}

/** Without policies, with the usual ones, with narrow ones, and without again: what was closed was closed by them. */
async function lookAtAll(scene: Scene): Promise<Record<string, number>> {
  const stations = await Stations.open([...podSpots(await podsIn(scene)), ...outsideSpots()]);
  const look = async (what: string, wanted: number): Promise<Looked> => {
    const looked = await compare(what, scene, stations, wanted);
    told(looked.checks);
    return looked;
  };
  try {
    progress.line(`${stations.spots.length} places, a process in each`);
    const control = await look("without policies", 0);
    await Promise.all([patch(scene, { networkPolicy: NARROW }), release(scene, true)]);
    const narrow = await look("narrow policies", POLICIES);
    await Promise.all([patch(scene, { networkPolicy: null }), release(scene, false)]);
    await look("without them again", 0);
    await Promise.all([patch(scene, { networkPolicy: {} }), release(scene, true)]);
    const usual = await look("networkPolicy: {}", POLICIES);
    told(await scrape(stations));
    return {
      places: stations.spots.length,
      cells: control.cells,
      open: usual.open,
      openNarrow: narrow.open,
      mixed: usual.mixed,
    };
  } finally {
    await stations.close();
  }
}

async function live(scene: Scene): Promise<Record<string, unknown>> {
  const firstMessageMs = await proveDelivery(await demoAccess(scene.tools));
  told([check("chat: a first message", "high", undefined, `${firstMessageMs} ms`)]);
  told(await askWebhook(scene));
  const smoked = await smoke();
  told(smoked.checks);
  const chatted = await chat(scene, progress);
  told(chatted.checks);
  return { firstMessageMs, ...smoked.figures, ...chatted.figures };
}

async function run(): Promise<boolean> {
  const scene = await prepare(progress);
  try {
    await startEnforcer({ progress });
    const looked = await lookAtAll(scene);
    const lived = await live(scene);
    const { ok, ...verdict } = verdictOf(checks);
    for (const one of checks.filter(({ fault }) => fault !== undefined)) progress.line(lineOf(one));
    const seconds = Math.round(progress.elapsedSeconds());
    console.log(JSON.stringify({ ...verdict, ...looked, ...lived, seconds, ok }));
    return ok;
  } finally {
    await clean(scene);
  }
}

endWhenInterrupted((signal) =>
  progress.line(`${signal}: the enforcer and the policies stay; \`make down\` removes them with the cluster`),
);
try {
  process.exit((await run()) ? 0 : 1);
} catch (error) {
  console.error(describeFault(error));
  process.exit(1);
}
