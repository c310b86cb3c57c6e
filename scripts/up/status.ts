// SPDX-License-Identifier: Apache-2.0
import { OPERATOR_NAMESPACE, type UpOptions } from "./bring-up.ts";
import { bindKubeTools, kubeconfigOf } from "./kube-tools.ts";

/** `make status`: tables for people on stderr, one JSON object for scripts. */
export async function reportStatus(options: UpOptions): Promise<object> {
  const kubeconfig = kubeconfigOf(options.context);
  if (kubeconfig === undefined) {
    process.stderr.write("no local cluster: `make up` starts one\n");
    return { running: false };
  }
  const tools = await bindKubeTools(options, kubeconfig, options.context);
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
