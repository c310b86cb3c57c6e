// SPDX-License-Identifier: Apache-2.0
// A real API server for the charts, with kubectl and helm bound to it.
import { startApiServer, type TestApiServer } from "../../e2e/harness/api-server.ts";
import { run } from "../../scripts/cluster/command.ts";
import { silentProgress } from "../../scripts/cluster/progress.ts";
import { ensureBinaries } from "../../scripts/cluster/toolchain.ts";
import { type HelmResult, helmOk, runHelm } from "./helm.ts";

const TIMEOUT_MS = 60_000;
/** Enforced on the namespaces in which pods of the charts run. */
export const RESTRICTED = { "pod-security.kubernetes.io/enforce": "restricted" } as const;

export interface ChartCluster {
  readonly api: TestApiServer;
  helm(...args: readonly string[]): Promise<string>;
  /** Like `helm`, but the caller looks at the exit code. */
  tryHelm(...args: readonly string[]): Promise<HelmResult>;
  kubectl(...args: readonly string[]): Promise<string>;
  tryKubectl(...args: readonly string[]): Promise<HelmResult>;
  /** `kubectl get ... -o json`, parsed. */
  get<T>(...args: readonly string[]): Promise<T>;
  /** `kubectl create` of one object; with `--dry-run=server` nothing stays. */
  create(object: object, ...args: readonly string[]): Promise<HelmResult>;
  namespace(name: string, labels?: Readonly<Record<string, string>>): Promise<void>;
  stop(): Promise<void>;
}

export async function startChartCluster(): Promise<ChartCluster> {
  const { kubectl: path = "" } = await ensureBinaries(["kubectl", "helm"], { progress: silentProgress });
  const api = await startApiServer();
  const env = { KUBECONFIG: api.kubeconfigPath };
  const kube = (args: readonly string[], mayFail: boolean, input?: string): Promise<HelmResult> =>
    run(path, [...args], { env, timeoutMs: TIMEOUT_MS, mayFail, input });
  const kubectl = async (...args: readonly string[]): Promise<string> => (await kube(args, false)).stdout;
  const create: ChartCluster["create"] = (object, ...args) =>
    kube(["create", ...args, "-f", "-"], true, JSON.stringify(object));
  return {
    ...{ api, kubectl, create },
    helm: (...args) => helmOk(args, env),
    tryHelm: (...args) => runHelm(args, env),
    tryKubectl: (...args) => kube(args, true),
    async get<T>(...args: readonly string[]) {
      return JSON.parse(await kubectl("get", ...args, "-o", "json")) as T;
    },
    async namespace(name, labels = {}) {
      const made = await create({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels } });
      if (made.code !== 0) throw new Error(made.stderr);
    },
    stop: () => api.stop(),
  };
}
