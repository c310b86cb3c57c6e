// SPDX-License-Identifier: Apache-2.0
import { existsSync } from "node:fs";
import { kubeconfigPath } from "../cluster/paths.ts";
import { ensureBinaries } from "../cluster/toolchain.ts";
import { OPERATOR_NAMESPACE, type UpOptions } from "./bring-up.ts";
import { kubeTools } from "./kube-tools.ts";

/** `make status`: tables for people on stderr, one JSON object for scripts. */
export async function reportStatus(options: UpOptions): Promise<object> {
  const kubeconfig = options.context ? (process.env.KUBECONFIG ?? "") : kubeconfigPath();
  if (!options.context && !existsSync(kubeconfig)) {
    process.stderr.write("no local cluster: `make up` starts one\n");
    return { running: false };
  }
  const binaries = await ensureBinaries(["kubectl", "helm"], options);
  const tools = kubeTools({
    kubectl: binaries.kubectl ?? "kubectl",
    helm: binaries.helm ?? "helm",
    kubeconfig,
    context: options.context,
  });
  const nodes = await tools.tryKubectl(["get", "nodes", "-o", "wide"], { timeoutMs: 10_000 });
  if (nodes.code !== 0) {
    process.stderr.write(`the API server does not answer: ${nodes.stderr}\n\`make up\` repairs the local cluster\n`);
    return { running: false };
  }
  const operator = await tools.tryKubectl(["get", "pods", "-n", OPERATOR_NAMESPACE]);
  const clusters = await tools.tryKubectl(["get", "imc", "-A", "-o", "wide"]);
  process.stderr.write(`${nodes.stdout}\n${operator.stdout}\n${clusters.stdout || clusters.stderr}`);
  return { running: true, kubeconfig, nodes: nodes.stdout.trim().split("\n").length - 1 };
}
