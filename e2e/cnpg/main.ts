// SPDX-License-Identifier: Apache-2.0
// `make cnpg`: people chat through a fleet whose database is CloudNativePG's, as docs/recovery.md shows it, while a standby is killed, the primary is
// switched over, and the primary is killed. Last line: figures as JSON. Exit 1 when a promise was broken.
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type CloudNativePgImages, loadCloudNativePg, operatorManifest } from "../../scripts/cluster/cloudnative-pg.ts";
import { describeFault } from "../../scripts/cluster/fault.ts";
import { CLOUDNATIVE_PG_VERSION } from "../../scripts/cluster/image/cloudnative-pg.ts";
import { PROJECT_ROOT } from "../../scripts/cluster/paths.ts";
import { createProgress } from "../../scripts/cluster/progress.ts";
import { ensureTarget, OPERATOR_NAMESPACE } from "../../scripts/up/bring-up.ts";
import { demoAccess, loadBalancerAddress } from "../../scripts/up/demo.ts";
import type { KubeTools } from "../../scripts/up/kube-tools.ts";
import { operatorRelease } from "../../scripts/up/operator-release.ts";
import { eventually } from "../cluster/real-cluster.ts";
import { endWhenInterrupted } from "../harness/interrupt.ts";
import { type NemesisView, type PairsReport, runPairs } from "../workload/pairs.ts";
import { readStored } from "../workload/read-stored.ts";
import { Database, installOperator, readShown } from "./database.ts";
import { fleetOn } from "./manifests.ts";
import { faultsOf, figuresOf } from "./verdict.ts";

const MINUTE_MS = 60_000;
const MESSAGES = 3000;
const RATE_PER_SECOND = 100;
/** Between a fault that is over and the next one: some chat that nothing disturbs. */
const CALM_MS = 5000;
const PLACE = { name: "cnpg", namespace: "imcluster-cnpg" };

const progress = createProgress();

/**
 * A standby, then the primary in order, then the primary at once; each when the one before is over.
 * Returns the seconds until CloudNativePG had another primary.
 */
async function strike(database: Database, run: NemesisView): Promise<Record<string, number>> {
  const promotionSeconds: Record<string, number> = {};
  const replaced = async (what: string, primary: string, deed: () => Promise<void>): Promise<string> => {
    const startedMs = performance.now();
    await deed();
    await database.promoted(primary);
    promotionSeconds[what] = Math.round((performance.now() - startedMs) / 100) / 10;
    return await database.healthy(primary);
  };
  const note = (what: string, pod: string): void => {
    progress.line(`${what}: ${pod}`);
    run.note(what);
  };
  await run.reached(0.1);
  const standby = await database.standby();
  note("standby killed", standby);
  await database.kill(standby);
  await sleep(CALM_MS);
  const first = await database.healthy();
  const next = await database.standby();
  note("switchover", `${first} to ${next}`);
  const second = await replaced("switchover", first, () => database.promote(next));
  await sleep(CALM_MS);
  note("primary killed", second);
  progress.line(`primary is ${await replaced("primary killed", second, () => database.kill(second))}`);
  await sleep(CALM_MS);
  return promotionSeconds;
}

interface Chatted {
  report: PairsReport;
  promotionSeconds: Record<string, number>;
}

async function chat(tools: KubeTools, database: Database, secret: { name: string; key: string }): Promise<Chatted> {
  let promotionSeconds: Record<string, number> = {};
  const access = await demoAccess(tools, PLACE);
  const trust = { ca: access.caPem, servername: access.serverName };
  const tls = { url: `tls://${access.address}:443`, ...trust };
  const ws = { url: `wss://${access.address}:443/ws`, ...trust };
  const report = await runPairs({
    pairs: [
      { a: tls, b: tls },
      { a: ws, b: tls },
      { a: tls, b: ws },
      { a: ws, b: ws },
    ],
    getToken: (userId) => access.mintToken(userId),
    messages: MESSAGES,
    ratePerSecond: RATE_PER_SECOND,
    untilNemesisEnds: true,
    settleTimeoutMs: 90_000,
    async nemesis(run) {
      promotionSeconds = await strike(database, run);
    },
    readStored: async () => readStored(await database.url(secret)),
    onProgress: (sent) => {
      if (sent % 1000 === 0) progress.line(`${sent} sent`);
    },
  });
  return { report, promotionSeconds };
}

async function fleet(tools: KubeTools, manifest: object): Promise<void> {
  await tools.kubectl(["apply", "-f", "-"], { input: JSON.stringify(manifest) });
  const wait = ["wait", "--for=condition=Ready", `imc/${PLACE.name}`, "-n", PLACE.namespace, "--timeout=300s"];
  await tools.kubectl(wait, { timeoutMs: 6 * MINUTE_MS });
  await eventually("the fleet has an address", MINUTE_MS, () => loadBalancerAddress(tools, PLACE));
}

/** The fleet and the database while their operators run; then CloudNativePG. Goes on where a step fails: it may be called because of that. */
async function clean(tools: KubeTools, manifest: string): Promise<void> {
  progress.line("removing the fleet, the database and CloudNativePG");
  const where = ["-n", PLACE.namespace];
  for (const target of [
    ["imc", PLACE.name, ...where],
    ["clusters.postgresql.cnpg.io", "--all", ...where],
    ["namespace", PLACE.namespace],
    ["-f", "-"],
  ]) {
    const args = ["delete", ...target, "--ignore-not-found", "--timeout=120s"];
    await tools.tryKubectl(args, { timeoutMs: 3 * MINUTE_MS, ...(target[0] === "-f" ? { input: manifest } : {}) });
  }
}

async function prove(tools: KubeTools, images: CloudNativePgImages, startedS: number): Promise<boolean> {
  const shown = readShown();
  const database = new Database(tools, shown, PLACE.namespace, images.postgres);
  await database.create();
  progress.line(`the database is healthy, primary ${database.primaries[0]}`);
  await fleet(tools, fleetOn(shown, PLACE));
  const readySeconds = Math.round(progress.elapsedSeconds() - startedS);
  progress.line("the ImCluster is Ready");
  const { report, promotionSeconds } = await chat(tools, database, shown.part.postgres.urlSecretRef);
  for (const violation of report.violations.slice(0, 20)) console.error(JSON.stringify(violation));
  const figures = figuresOf(report, database.primaries);
  const faults = faultsOf(figures);
  for (const fault of faults) progress.line(`✖ ${fault}`);
  const versions = { cloudNativePg: CLOUDNATIVE_PG_VERSION, postgres: images.postgres.replace(/^.*:/, "") };
  const seconds = Math.round(progress.elapsedSeconds());
  console.log(
    JSON.stringify({ ...versions, readySeconds, ...figures, promotionSeconds, seconds, ok: faults.length === 0 }),
  );
  return faults.length === 0;
}

async function run(): Promise<boolean> {
  const target = await ensureTarget({ context: undefined, progress });
  const { tools } = target;
  await operatorRelease(tools, target.images, {
    namespace: OPERATOR_NAMESPACE,
    chart: join(PROJECT_ROOT, "charts/im-operator"),
  });
  const images = await loadCloudNativePg({ progress });
  const manifest = await operatorManifest(images.operator, { progress });
  const startedS = progress.elapsedSeconds();
  try {
    const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: PLACE.namespace } };
    await tools.kubectl(["apply", "-f", "-"], { input: JSON.stringify(namespace) });
    await installOperator(tools, manifest);
    progress.line(`CloudNativePG ${CLOUDNATIVE_PG_VERSION} installed`);
    return await prove(tools, images, startedS);
  } finally {
    await clean(tools, manifest);
  }
}

endWhenInterrupted((signal) =>
  progress.line(
    `${signal}: namespaces ${PLACE.namespace} and cnpg-system stay; \`make down\` removes them with the cluster`,
  ),
);
try {
  process.exit((await run()) ? 0 : 1);
} catch (error) {
  console.error(describeFault(error));
  process.exit(1);
}
