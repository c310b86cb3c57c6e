// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createCgroup } from "./cgroups.ts";
import { run } from "./command.ts";
import type { Binaries } from "./control-plane.ts";
import { inNode, type NodeLayout } from "./layout.ts";
import { ensureMountNamespace } from "./mounts.ts";
import { ensureNodeNetwork } from "./network.ts";
import { type NodeFiles, nodeFilePaths, nodeFiles } from "./node-files.ts";
import { pkiFile } from "./pki.ts";
import { type ProcessSpec, startProcess } from "./processes.ts";
import type { RunContext } from "./progress.ts";
import { waitFor } from "./wait.ts";

const CONTAINERD_TIMEOUT_MS = 30_000;

/** Names of a node's processes, in the order in which they start. */
export const nodeProcesses = (node: NodeLayout): { containerd: string; kubelet: string; kubeProxy: string } => ({
  containerd: `containerd-${node.name}`,
  kubelet: `kubelet-${node.name}`,
  kubeProxy: `kube-proxy-${node.name}`,
});

function writeFiles(files: NodeFiles): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(path), { recursive: true });
    if (!existsSync(path) || readFileSync(path, "utf8") !== content) writeFileSync(path, content);
  }
}

function nodeProcess(node: NodeLayout, name: string, command: string[], configuration: string): ProcessSpec {
  return { name, command, prefix: inNode(node), configuration };
}

/** Gives a node its namespaces, cgroup and files, and starts its containerd; resolves when that answers. */
export async function ensureNodeRuntime(node: NodeLayout, binaries: Binaries, context: RunContext): Promise<void> {
  for (const folder of [node.folder, node.runFolder, join(node.folder, "volumes")])
    mkdirSync(folder, { recursive: true });
  const files = nodeFiles(node, binaries);
  writeFiles(files);
  createCgroup(node.cgroup);
  await ensureNodeNetwork(node);
  await ensureMountNamespace(node);
  const { containerd } = nodeProcesses(node);
  const path = nodeFilePaths(node).containerd;
  const command = [binaries.containerd ?? "containerd", "--config", path];
  await startProcess(nodeProcess(node, containerd, command, files[path] ?? ""));
  const probe = ["-a", node.containerdSocket, "version"];
  await waitFor(async () => (await run(binaries.ctr ?? "ctr", probe, { mayFail: true, timeoutMs: 5000 })).code === 0, {
    what: `containerd of ${node.name} answers`,
    timeoutMs: CONTAINERD_TIMEOUT_MS,
    signal: context.signal,
    processes: [containerd],
  });
}

/** Starts a node's kubelet and kube-proxy. Both keep trying until the API server answers. */
export async function ensureNodeAgents(node: NodeLayout, binaries: Binaries): Promise<void> {
  const files = nodeFiles(node, binaries);
  const paths = nodeFilePaths(node);
  const names = nodeProcesses(node);
  const kubelet = [
    binaries.kubelet ?? "kubelet",
    `--config=${paths.kubelet}`,
    `--kubeconfig=${pkiFile(`${node.name}.kubeconfig`)}`,
    `--hostname-override=${node.name}`,
    `--node-ip=${node.address}`,
    `--root-dir=${join(node.folder, "kubelet")}`,
    "--v=1",
  ];
  await startProcess(nodeProcess(node, names.kubelet, kubelet, files[paths.kubelet] ?? ""));
  const kubeProxy = [binaries["kube-proxy"] ?? "kube-proxy", `--config=${paths.kubeProxy}`];
  await startProcess(nodeProcess(node, names.kubeProxy, kubeProxy, files[paths.kubeProxy] ?? ""));
}
