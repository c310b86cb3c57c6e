// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { freePort } from "../../e2e/harness/ports.ts";
import { type GuardedProcess, startProcess, waitUntil } from "../../e2e/harness/processes.ts";
import { OPERAND_IMAGE } from "../../e2e/operator/support/bench.ts";
import { type ImApiServer, startImApiServer } from "../../e2e/operator/support/shared-api-server.ts";
import { DEFAULT_DRAIN_TAINTS } from "../../operator/imcluster/drain-cause.ts";
import { type KubeObject, NODES, type Resource } from "../../operator/kube/types.ts";
import { type AuditedRequest, auditedRequests } from "./audit-log.ts";
import { ControlServers } from "./control-servers.ts";
import type { PassFigures } from "./pass-probe.ts";
import { WatchingKubelet } from "./watching-kubelet.ts";

/** As whom the operator of a benchmark asks. */
export const BENCH_USER = "im-operator-bench";
const ROOT = join(import.meta.dirname, "../..");
const RBAC = "rbac.authorization.k8s.io";
const START_TIMEOUT_MS = 60_000;
/** What a kubelet says of the images of a node: 50, with two names each. */
const NODE_IMAGES = 50;

export interface WorldOptions {
  /** Nodes that exist, as large as a kubelet makes them. */
  nodes: number;
  /** Environment of the operator. */
  env?: Readonly<Record<string, string>>;
  profileDir?: string;
}

/** The operator as a process of its own, with the rights that its chart gives it, on a real API server whose pods are played. */
export class OperatorWorld {
  readonly server: ImApiServer;
  readonly namespace: string;
  readonly servers: ControlServers;
  readonly operator: GuardedProcess;
  readonly #kubelet: WatchingKubelet;
  /** How often it told. */
  #told = 0;

  private constructor(server: ImApiServer, namespace: string, servers: ControlServers, operator: GuardedProcess) {
    this.server = server;
    this.namespace = namespace;
    this.servers = servers;
    this.operator = operator;
    this.#kubelet = new WatchingKubelet(server.client, namespace, servers);
    this.#kubelet.start();
  }

  static async open(options: WorldOptions): Promise<OperatorWorld> {
    const server = await startImApiServer({ auditUsers: [BENCH_USER] });
    try {
      const namespace = await server.makeNamespace();
      await grantRights(server);
      await makeNodes(server, options.nodes);
      const operator = await startOperator(server, namespace, options);
      return new OperatorWorld(server, namespace, new ControlServers(server.client), operator);
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  /** Everything that the operator has asked the API server, as that wrote it down. */
  requests(): AuditedRequest[] {
    return auditedRequests(readFileSync(this.server.api.auditPath, "utf8"));
  }

  /** What the passes since the last time took. */
  async passFigures(): Promise<PassFigures> {
    const told = this.operator.waitForOutput(
      new RegExp(`(?:"passFigures"[^]*){${this.#told}}"passFigures":(\\{.*\\})\\}\\n`),
    );
    this.#told++;
    this.operator.signal("SIGUSR2");
    const [, json = ""] = await told;
    return JSON.parse(json) as PassFigures;
  }

  async close(): Promise<void> {
    await this.operator.stop("SIGTERM", 20_000);
    await this.#kubelet.stop();
    await this.servers.close();
    await this.server.stop();
  }
}

async function startOperator(server: ImApiServer, namespace: string, options: WorldOptions): Promise<GuardedProcess> {
  const port = await freePort();
  const profile = options.profileDir ? ["--cpu-prof", `--cpu-prof-dir=${options.profileDir}`] : [];
  const operator = await startProcess({
    name: "operator",
    command: process.execPath,
    args: [...profile, "--import", join(import.meta.dirname, "pass-probe.ts"), join(ROOT, "operator/main.ts")],
    cwd: ROOT,
    env: {
      PATH: process.env.PATH,
      KUBECONFIG: await server.api.kubeconfigFor({ user: BENCH_USER }),
      IM_ADMIN_PORT: String(port),
      IM_POD_NAMESPACE: namespace,
      IM_OPERAND_IMAGE: OPERAND_IMAGE,
      IM_DRAIN_TAINTS: DEFAULT_DRAIN_TAINTS.join(","),
      IM_LOG_LEVEL: "warn",
      ...options.env,
    },
  });
  const isLeading = async (): Promise<boolean> => {
    if (operator.exit) throw new Error(`the operator ended:\n${operator.output}`);
    try {
      const page = await fetch(`http://127.0.0.1:${port}/metrics`, { signal: AbortSignal.timeout(2_000) });
      return (await page.text()).includes("\nim_operator_leader 1");
    } catch {
      return false;
    }
  };
  await waitUntil("the operator leads", isLeading, START_TIMEOUT_MS);
  return operator;
}

/** The rights that the chart gives the operator, to {@link BENCH_USER}. */
export async function grantRights({ client }: ImApiServer): Promise<void> {
  const text = readFileSync(join(ROOT, "operator/rbac.yaml"), "utf8");
  const { rules, leaderElectionRules } = parse(text) as Record<"rules" | "leaderElectionRules", object[]>;
  const apiVersion = `${RBAC}/v1`;
  const clusterWide = (kind: string, plural: string): Resource => ({ apiVersion, kind, plural, namespaced: false });
  const metadata = { name: BENCH_USER };
  await client.create(clusterWide("ClusterRole", "clusterroles"), {
    ...{ apiVersion, kind: "ClusterRole", metadata, rules: [...rules, ...leaderElectionRules] },
  } as KubeObject);
  await client.create(clusterWide("ClusterRoleBinding", "clusterrolebindings"), {
    ...{ apiVersion, kind: "ClusterRoleBinding", metadata },
    roleRef: { apiGroup: RBAC, kind: "ClusterRole", name: BENCH_USER },
    subjects: [{ kind: "User", apiGroup: RBAC, name: BENCH_USER }],
  } as KubeObject);
}

async function makeNodes({ client }: ImApiServer, count: number): Promise<void> {
  const images = Array.from({ length: NODE_IMAGES }, (_, at) => {
    const name = `registry.example/team-${at % 7}/service-${at}`;
    return { names: [`${name}@sha256:${"0123456789abcdef".repeat(4)}`, `${name}:1.${at}.0`], sizeBytes: 1e8 + at };
  });
  for (let at = 0; at < count; at++) {
    const name = `node-${at}`;
    await client.create(NODES, { apiVersion: "v1", kind: "Node", metadata: { name, labels: { zone: `z${at % 3}` } } });
    await client.patchMerge(NODES, undefined, name, { status: { images } }, { subresource: "status" });
  }
}
