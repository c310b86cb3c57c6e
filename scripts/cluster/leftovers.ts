// SPDX-License-Identifier: Apache-2.0
import { existsSync } from "node:fs";
import { cgroupFolders } from "./cgroups.ts";
import { run } from "./command.ts";
import { listOwnRules } from "./firewall.ts";
import { BRIDGE, NODES, RUN_ROOT } from "./layout.ts";
import { mountsBelow } from "./mounts.ts";
import { listNamespaces } from "./network.ts";
import { listOwnProcesses } from "./own-processes.ts";
import { clusterRoot } from "./paths.ts";

/** Names of our devices in the output of `ip -o link`: `7: imcv1@if2: <BROADCAST...`. */
export function ownLinks(listing: string): string[] {
  const ours = new Set([BRIDGE, ...NODES().map((node) => node.link)]);
  return listing.split("\n").flatMap((line) => {
    const name = /^\d+:\s+([^:@\s]+)/.exec(line)?.[1];
    return name && ours.has(name) ? [name] : [];
  });
}

/**
 * Whatever of the local cluster is on this machine now, one line each: processes, mounts, links, network namespaces,
 * cgroups, iptables rules, folders. Empty after `down`. The cache of programs and images does not count.
 */
export async function leftovers(): Promise<string[]> {
  const namespaces = new Set(await listNamespaces());
  const { stdout: links } = await run("ip", ["-o", "link"]);
  return [
    ...listOwnProcesses().map(({ pid, command }) => `process ${pid}: ${command.slice(0, 120)}`),
    ...[RUN_ROOT, clusterRoot()].flatMap((folder) => mountsBelow(folder)).map((mount) => `mount ${mount.path}`),
    ...ownLinks(links).map((name) => `link ${name}`),
    ...NODES()
      .filter((node) => namespaces.has(node.namespace))
      .map((node) => `network namespace ${node.namespace}`),
    ...NODES()
      .flatMap((node) => cgroupFolders(node.cgroup))
      .map((folder) => `cgroup ${folder}`),
    ...(await listOwnRules()).map((rule) => `iptables rule ${rule}`),
    ...[clusterRoot(), RUN_ROOT].filter((folder) => existsSync(folder)).map((folder) => `folder ${folder}`),
  ];
}
