// SPDX-License-Identifier: Apache-2.0
import type { RunResult } from "../../cluster/command.ts";
import type { CallOptions, KubeTools } from "../kube-tools.ts";

/** Answers commands from a function: a stand-in for kubectl, not for the API server. */
export function toolsFor(answer: (args: readonly string[], options?: CallOptions) => RunResult): KubeTools {
  return {
    kubeconfig: "",
    kubectlPath: "",
    helmPath: "",
    contextArgs: [],
    kubectl: async (args, options) => answer(args, options).stdout,
    tryKubectl: async (args, options) => answer(args, options),
    helm: () => Promise.reject(new Error("not used")),
    getJson: <T>(args: readonly string[]) => Promise.resolve(JSON.parse(answer(["get", ...args]).stdout) as T),
  };
}

/** What was applied. */
interface Applied {
  kind: string;
  metadata: { name: string };
  stringData?: Record<string, string>;
  data?: Record<string, string>;
}

/** Keeps the Secrets that are applied, gives each Service an address, and remembers what was applied. */
export interface FakeCluster {
  readonly tools: KubeTools;
  readonly applied: Applied[];
  readonly secrets: Map<string, Record<string, string>>;
}

export function fakeCluster(): FakeCluster {
  const [applied, secrets] = [[] as Applied[], new Map<string, Record<string, string>>()];
  const ok = (value: object): RunResult => ({ code: 0, stdout: JSON.stringify(value), stderr: "" });
  const get = (kind: string, name: string): RunResult => {
    if (kind === "service") return ok({ spec: { clusterIP: "10.96.0.7" } });
    const known = secrets.get(name);
    if (!known) return { code: 1, stdout: "", stderr: "NotFound" };
    const data = Object.entries(known).map(([key, value]) => [key, Buffer.from(value).toString("base64")]);
    return ok({ data: Object.fromEntries(data) });
  };
  const tools = toolsFor(([verb = "", kind = "", name = ""], options) => {
    if (verb === "get") return get(kind, name);
    if (options?.input !== undefined) {
      const object = JSON.parse(options.input) as Applied;
      applied.push(object);
      if (object.kind === "Secret") secrets.set(object.metadata.name, object.stringData ?? {});
    }
    return ok({});
  });
  return { tools, applied, secrets };
}
