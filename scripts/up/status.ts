// SPDX-License-Identifier: Apache-2.0
import { ClusterFault, describeFault } from "../cluster/fault.ts";
import { OPERATOR_NAMESPACE, type UpOptions } from "./bring-up.ts";
import { bindKubeTools, type KubeTools, kubeconfigOf } from "./kube-tools.ts";

/** `make status`: tables for people on stderr, one JSON object for scripts. */
export async function reportStatus(options: UpOptions): Promise<object> {
  const kubeconfig = kubeconfigOf(options.context);
  if (kubeconfig === undefined) {
    process.stderr.write("no local cluster: `make up` starts one\n");
    return { running: false };
  }
  let tools: KubeTools;
  try {
    tools = await bindKubeTools(options, kubeconfig, options.context);
  } catch (error) {
    // A cluster that was named has to be there; whether ours runs is what is asked.
    if (!(error instanceof ClusterFault) || options.context !== undefined) throw error;
    process.stderr.write(`${describeFault(error)}\n`);
    return { running: false };
  }
  const nodes = await tools.tryKubectl(["get", "nodes", "-o", "wide"], { timeoutMs: 10_000 });
  const operator = await tools.tryKubectl(["get", "pods", "-n", OPERATOR_NAMESPACE]);
  const clusters = await tools.tryKubectl(["get", "imc", "-A", "-o", "wide"]);
  process.stderr.write(`${nodes.stdout || nodes.stderr}\n${operator.stdout}\n${clusters.stdout || clusters.stderr}`);
  return { running: true, kubeconfig, nodes: Math.max(0, nodes.stdout.trim().split("\n").length - 1) };
}
