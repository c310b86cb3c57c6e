// SPDX-License-Identifier: Apache-2.0
import { existsSync } from "node:fs";
import { type RunResult, run } from "../cluster/command.ts";
import { ClusterFault } from "../cluster/fault.ts";
import { kubeconfigPath } from "../cluster/paths.ts";
import type { RunContext } from "../cluster/progress.ts";
import { ensureBinaries } from "../cluster/toolchain.ts";
import { unreachable } from "./unreachable.ts";

/** An API server that is well answers within milliseconds. */
const ANSWER_S = 10;

/** kubectl and helm against one cluster. Every call has a deadline; output is kept up to 16 MiB. */
export interface KubeTools {
  readonly kubeconfig: string;
  readonly kubectlPath: string;
  readonly helmPath: string;
  /** Arguments that select the context; for callers that start kubectl themselves. */
  readonly contextArgs: readonly string[];
  kubectl(args: readonly string[], options?: CallOptions): Promise<string>;
  /** Like kubectl, but the caller looks at the exit code. */
  tryKubectl(args: readonly string[], options?: CallOptions): Promise<RunResult>;
  helm(args: readonly string[], options?: CallOptions): Promise<string>;
  /** `kubectl get ... -o json`, parsed. */
  getJson<T>(args: readonly string[]): Promise<T>;
}

export interface CallOptions {
  input?: string | undefined;
  /** Default 60 s for kubectl, 180 s for helm. */
  timeoutMs?: number | undefined;
}

export interface ToolPaths {
  kubectl: string;
  helm: string;
  kubeconfig: string;
  context?: string | undefined;
}

/** Binds the tools to a kubeconfig and, if given, one of its contexts. */
export function kubeTools(paths: ToolPaths): KubeTools {
  const env = { KUBECONFIG: paths.kubeconfig };
  const contextArgs = paths.context ? ["--context", paths.context] : [];
  const helmContext = paths.context ? ["--kube-context", paths.context] : [];
  const call = (args: readonly string[], options: CallOptions, mayFail: boolean): Promise<RunResult> =>
    run(paths.kubectl, [...contextArgs, ...args], {
      timeoutMs: options.timeoutMs ?? 60_000,
      env,
      input: options.input,
      mayFail,
    });
  const kubectl: KubeTools["kubectl"] = async (args, options = {}) => (await call(args, options, false)).stdout;
  return {
    kubeconfig: paths.kubeconfig,
    kubectlPath: paths.kubectl,
    helmPath: paths.helm,
    contextArgs,
    kubectl,
    tryKubectl: (args, options = {}) => call(args, options, true),
    async helm(args, options = {}) {
      const result = await run(paths.helm, [...helmContext, ...args], {
        timeoutMs: options.timeoutMs ?? 180_000,
        env,
        input: options.input,
      });
      return result.stdout;
    },
    async getJson<T>(args: readonly string[]) {
      return JSON.parse(await kubectl(["get", ...args, "-o", "json"])) as T;
    },
  };
}

/** Kubeconfig of the user's own cluster when a context is named, else of the local one; undefined when there is none. */
export function kubeconfigOf(context: string | undefined): string | undefined {
  if (context !== undefined) return process.env.KUBECONFIG ?? "";
  return existsSync(kubeconfigPath()) ? kubeconfigPath() : undefined;
}

/**
 * Tools for the cluster that runs: the one of `context`, else the local one. Brings kubectl and helm where they are missing.
 * @throws {ClusterFault} when there is no local cluster, or the one that is meant does not answer
 */
export async function openKubeTools(options: RunContext, context?: string): Promise<KubeTools> {
  const kubeconfig = kubeconfigOf(context);
  if (kubeconfig === undefined)
    throw new ClusterFault("no local cluster is running", "Start one with `make up`, or name a context of your own.");
  return bindKubeTools(options, kubeconfig, context);
}

/**
 * Tools for a kubeconfig, with the kubectl and helm that the project brings.
 * @throws {ClusterFault} when the cluster does not answer, or kubectl cannot ask it
 */
export async function bindKubeTools(options: RunContext, kubeconfig: string, context?: string): Promise<KubeTools> {
  const { kubectl, helm } = await ensureBinaries(["kubectl", "helm"], options);
  if (kubectl === undefined || helm === undefined) throw new Error("the toolchain named no path of kubectl or helm");
  const tools = kubeTools({ kubectl, helm, kubeconfig, context });
  const answer = await tools.tryKubectl(["get", "--raw", "/version", `--request-timeout=${ANSWER_S}s`]);
  if (answer.code !== 0) throw unreachable(answer.stderr, context);
  return tools;
}
