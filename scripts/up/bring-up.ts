// SPDX-License-Identifier: Apache-2.0
import { join } from "node:path";
import { ensureCluster } from "../cluster/ensure.ts";
import { ClusterFault } from "../cluster/fault.ts";
import { cacheRoot, PROJECT_ROOT } from "../cluster/paths.ts";
import type { RunContext } from "../cluster/progress.ts";
import {
  DEMO_NAME,
  DEMO_NAMESPACE,
  type DemoAccess,
  demoAccess,
  demoManifest,
  loadBalancerAddress,
  writeDemoFiles,
} from "./demo.ts";
import { bindKubeTools, type KubeTools } from "./kube-tools.ts";
import { type OperandImages, operatorRelease } from "./operator-release.ts";
import { proveDelivery } from "./prove.ts";
import { applyPushSandbox, PUSH_SANDBOX_WEBHOOK } from "./push-sandbox.ts";
import { writeShell } from "./shell.ts";
import { applyShop, sampleItemCard, shopAccess } from "./shop.ts";

export const OPERATOR_NAMESPACE = "imcluster-system";
export const SAMPLE_USERS = ["alice", "bob"] as const;
const READY_TIMEOUT_MS = 180_000;
const ROLLOUT_TIMEOUT_MS = 180_000;

export interface UpOptions extends RunContext {
  /** kubeconfig context of a cluster of the user's own; undefined means the local one. */
  context: string | undefined;
}

/** Where the demo's CA and tokens are kept. */
export const demoFolder = (): string => join(cacheRoot(), "demo");

interface Target {
  tools: KubeTools;
  images: OperandImages;
  built: boolean;
}

/** The cluster to work on, running, with images that its nodes can start. */
export async function ensureTarget(options: UpOptions): Promise<Target> {
  const cluster = await ensureCluster({ ...options, external: options.context !== undefined });
  const tools = await bindKubeTools(options, cluster.kubeconfig, options.context);
  return { tools, images: cluster.images, built: cluster.built };
}

interface ImClusterSummary {
  status?: { phase?: string; phaseReason?: string; conditions?: { type: string; status: string; message?: string }[] };
}

async function explainNotReady(tools: KubeTools): Promise<string> {
  const object = await tools.getJson<ImClusterSummary>(["imc", DEMO_NAME, "-n", DEMO_NAMESPACE]);
  const bad = (object.status?.conditions ?? [])
    .filter((c) => c.status === "False")
    .map((c) => `${c.type}: ${c.message ?? ""}`);
  const pods = await tools.kubectl(["get", "pods", "-n", DEMO_NAMESPACE, "-o", "wide"]);
  return `${object.status?.phase ?? "no phase"}: ${object.status?.phaseReason ?? ""}\n${bad.join("\n")}\n${pods}`;
}

/** Applies the demo with its push provider and its shop, and waits for Ready. Returns the seconds from apply to Ready. */
export async function applyDemo(tools: KubeTools, image: string, options: RunContext): Promise<number> {
  const namespace = { apiVersion: "v1", kind: "Namespace", metadata: { name: DEMO_NAMESPACE } };
  await tools.kubectl(["apply", "-f", "-"], { input: JSON.stringify(namespace) });
  await applyPushSandbox(tools, image, options);
  const manifest = demoManifest({ webhook: PUSH_SANDBOX_WEBHOOK, shop: await applyShop(tools) });
  const startedMs = performance.now();
  await tools.kubectl(["apply", "-f", "-"], { input: manifest });
  options.progress.line(`ImCluster ${DEMO_NAMESPACE}/${DEMO_NAME} applied, waiting for Ready`);
  const wait = [
    "wait",
    "--for=condition=Ready",
    `imc/${DEMO_NAME}`,
    "-n",
    DEMO_NAMESPACE,
    `--timeout=${READY_TIMEOUT_MS / 1000}s`,
  ];
  const result = await tools.tryKubectl(wait, { timeoutMs: READY_TIMEOUT_MS + 10_000 });
  if (result.code !== 0) {
    throw new ClusterFault(
      `the ImCluster did not become Ready:\n${await explainNotReady(tools)}`,
      `Look at the operator: kubectl --kubeconfig ${tools.kubeconfig} -n ${OPERATOR_NAMESPACE} logs deploy/im-operator; then run make up again.`,
    );
  }
  const readySeconds = Math.round((performance.now() - startedMs) / 100) / 10;
  await waitForRollout(tools, options);
  return readySeconds;
}

/** After a change of the image users are served all along, by old and new entries; the demo shows the new ones. */
async function waitForRollout(tools: KubeTools, options: RunContext): Promise<void> {
  const wait = ["wait", "--for=condition=Progressing=False", `imc/${DEMO_NAME}`, "-n", DEMO_NAMESPACE];
  const result = await tools.tryKubectl([...wait, `--timeout=${ROLLOUT_TIMEOUT_MS / 1000}s`], {
    timeoutMs: ROLLOUT_TIMEOUT_MS + 10_000,
  });
  if (result.code !== 0) options.progress.line("the rollout is still going on: kubectl get imc -A -o wide");
}

async function requireLoadBalancer(tools: KubeTools): Promise<void> {
  const deadlineMs = performance.now() + 60_000;
  while ((await loadBalancerAddress(tools)) === undefined) {
    if (performance.now() > deadlineMs) await demoAccess(tools);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

function describeDemo(access: DemoAccess, tokens: Record<string, string>, card: string, shell: string): string {
  const fragment = [...SAMPLE_USERS.map((user) => `${user}=${tokens[user]}`), `item-card=${card}`].join("&");
  return `
ImCluster is Ready.

  address   ${access.address}:443 (TLS, raw TCP and WebSocket; server name ${access.serverName})
  CA        ${join(demoFolder(), "ca.crt")}
  tokens    ${SAMPLE_USERS.map((user) => join(demoFolder(), `${user}.token`)).join(" ")}
  browser   https://${access.address}/demo/#${fragment}
            Alice and Bob side by side. The certificate is signed by the demo's own CA: let the browser go on.
  terminal  make chat AS=alice      and in another one: make chat AS=bob
  kubectl   . ${shell}
            then: kubectl get imc -A; kubectl im status ${DEMO_NAME} -n ${DEMO_NAMESPACE}
  next      make smoke (kills pods under 10,000 messages), make smoke-market, make prometheus (alerts and their runbooks),
            make status, make down; docs/quick-start.md goes on from here
`;
}

/** `make up`. Every step is idempotent; the result goes to stdout as the last line. */
export async function bringUp(options: UpOptions): Promise<object> {
  const { progress } = options;
  const target = await ensureTarget(options);
  options.signal?.throwIfAborted();
  await operatorRelease(target.tools, target.images, {
    namespace: OPERATOR_NAMESPACE,
    chart: join(PROJECT_ROOT, "charts/im-operator"),
  });
  progress.line("operator installed");
  options.signal?.throwIfAborted();
  const readySeconds = await applyDemo(target.tools, target.images.imcluster, options);
  progress.line(`Ready after ${readySeconds} s`);
  await requireLoadBalancer(target.tools);
  const access = await demoAccess(target.tools);
  const tokens = await writeDemoFiles(access, demoFolder(), SAMPLE_USERS);
  const firstMessageMs = await proveDelivery(access);
  progress.line(`a first message through ${access.address}:443 took ${firstMessageMs} ms`);
  const card = sampleItemCard((await shopAccess(target.tools)).cardKey);
  process.stderr.write(describeDemo(access, tokens, card, writeShell(demoFolder(), target.tools)));
  const seconds = progress.elapsedSeconds();
  return {
    [target.built ? "coldSeconds" : "warmSeconds"]: seconds,
    readySeconds,
    firstMessageMs,
    address: access.address,
  };
}
