// SPDX-License-Identifier: Apache-2.0
// The fleet works where its policies hold: people chat while entries come, go and are replaced, and the operator is asked.
import type { Progress } from "../../scripts/cluster/progress.ts";
import { DEMO_NAMESPACE, demoAccess } from "../../scripts/up/demo.ts";
import { eventually, runScript } from "../cluster/real-cluster.ts";
import { type Check, check } from "../security/checks.ts";
import { type NemesisView, runPairs } from "../workload/pairs.ts";
import { entriesIn, patch, type Scene, settled } from "./scene.ts";

const MINUTE_MS = 60_000;
const SMOKE_MESSAGES = 2000;
const CHAT_MESSAGES = 1500;
const CHAT_PER_SECOND = 30;

export interface Lived {
  checks: Check[];
  figures: Record<string, unknown>;
}

/** The API server asks the operator before an entry is evicted; nothing is evicted here. */
export async function askWebhook(scene: Scene): Promise<Check[]> {
  const name = (await entriesIn(scene))[0]?.metadata.name ?? "";
  const eviction = {
    apiVersion: "policy/v1",
    kind: "Eviction",
    metadata: { name, namespace: DEMO_NAMESPACE },
    deleteOptions: { dryRun: ["All"] },
  };
  const path = `/api/v1/namespaces/${DEMO_NAMESPACE}/pods/${name}/eviction?dryRun=All`;
  const input = JSON.stringify(eviction);
  const { stdout, stderr } = await scene.tools.tryKubectl(["create", "--raw", path, "-f", "-"], { input });
  const answer = `${stdout}${stderr}`.trim();
  return [check("webhook: the eviction guard answers", "high", /drained/.test(answer) ? undefined : answer, answer)];
}

async function moveEntries(scene: Scene, run: NemesisView, progress: Progress): Promise<void> {
  const note = (what: string): void => {
    progress.line(what);
    run.note(what);
  };
  await run.reached(0.1);
  for (const replicas of [4, 2]) {
    note(`${replicas} entries`);
    await patch(scene, { entry: { replicas } });
    await settled(scene);
  }
  const before = (await entriesIn(scene)).map(({ metadata }) => metadata.uid);
  note("the entries are replaced");
  await patch(scene, { entry: { podTemplate: { annotations: { "example.com/replaced": `${Date.now()}` } } } });
  await eventually("all entries are new ones", 4 * MINUTE_MS, async () => {
    const now = await entriesIn(scene);
    return now.length > 0 && now.every(({ metadata }) => !before.includes(metadata.uid)) ? true : undefined;
  });
  await settled(scene);
}

/** Nothing is lost while entries are scaled, drained and replaced. */
export async function chat(scene: Scene, progress: Progress): Promise<Lived> {
  const access = await demoAccess(scene.tools);
  const trust = { ca: access.caPem, servername: access.serverName };
  const tls = { url: `tls://${access.address}:443`, ...trust };
  const ws = { url: `wss://${access.address}:443/ws`, ...trust };
  const { sent, acked, delivered, violations, reconnects } = await runPairs({
    pairs: [
      { a: tls, b: ws },
      { a: ws, b: tls },
    ],
    getToken: (uid) => access.mintToken(uid),
    messages: CHAT_MESSAGES,
    ratePerSecond: CHAT_PER_SECOND,
    settleTimeoutMs: 90_000,
    nemesis: (run) => moveEntries(scene, run, progress),
  });
  const isKept = sent === CHAT_MESSAGES && acked === sent && delivered === sent && violations.length === 0;
  const told = `${sent} sent, ${acked} acknowledged, ${delivered} delivered, ${violations.length} violations`;
  const one = check("chat: while entries are scaled, drained and replaced", "high", isKept ? undefined : told, told);
  return { checks: [one], figures: { chatMessages: sent, chatReconnects: reconnects } };
}

/** `make smoke`, with fewer messages: an entry and a logic are killed, and who is away is pushed to. */
export async function smoke(): Promise<Lived> {
  const args = ["--messages", `${SMOKE_MESSAGES}`];
  const { code, figures, stderr } = await runScript("e2e/smoke/main.ts", args, 5 * MINUTE_MS);
  const fault = code === 0 ? undefined : `${JSON.stringify(figures)} ${stderr.slice(-500)}`;
  const { delivered, pushes } = figures;
  const one = check(
    "smoke: an entry and a logic are killed",
    "high",
    fault,
    `${delivered} delivered, ${pushes} pushed`,
  );
  return { checks: [one], figures: { smokeDelivered: delivered, smokePushes: pushes } };
}
