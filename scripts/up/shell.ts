// SPDX-License-Identifier: Apache-2.0
// What a terminal needs to look at the cluster: kubectl, helm and `kubectl im`, all of them ours, and the kubeconfig.
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeFolder } from "../cluster/folder.ts";
import { PROJECT_ROOT } from "../cluster/paths.ts";
import type { KubeTools } from "./kube-tools.ts";

/** A word as it is for a POSIX shell. Pure. */
export const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

const launcher = (...words: readonly string[]): string => `#!/bin/sh\nexec ${words.map(quoted).join(" ")} "$@"\n`;

/**
 * Writes `bin/` and `env` into a folder; a shell that reads `env` has `kubectl` for this cluster, with its plugin.
 * Returns the path of `env`.
 */
export function writeShell(folder: string, tools: KubeTools): string {
  const bin = join(folder, "bin");
  rmSync(bin, { recursive: true, force: true });
  makeFolder(bin, 0o700);
  const node = join(PROJECT_ROOT, "scripts/node.sh");
  const launchers: Record<string, string> = {
    kubectl: launcher(tools.kubectlPath),
    helm: launcher(tools.helmPath),
    "kubectl-im": launcher(node, join(PROJECT_ROOT, "kubectl/main.ts")),
    "kubectl_complete-im": launcher(node, join(PROJECT_ROOT, "kubectl/complete.ts")),
  };
  for (const [name, text] of Object.entries(launchers)) writeFileSync(join(bin, name), text, { mode: 0o755 });
  const settings = [
    `export PATH=${quoted(bin)}:"$PATH"`,
    ...(tools.kubeconfig === "" ? [] : [`export KUBECONFIG=${quoted(tools.kubeconfig)}`]),
  ];
  const path = join(folder, "env");
  writeFileSync(path, `# Read it by: . ${path}\n${settings.join("\n")}\n`);
  return path;
}
