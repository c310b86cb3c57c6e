// SPDX-License-Identifier: Apache-2.0
import { cgroupPids } from "./cgroups.ts";
import { NODES, RUN_ROOT } from "./layout.ts";
import { binRoot, clusterRoot } from "./paths.ts";
import { commandLine, identify, type ProcessIdentity } from "./process-identity.ts";
import { allPids, recordedProcesses, runningProcess } from "./processes.ts";

/** The daemon's script, as it stands in its command line. */
export const DAEMON_SCRIPT = "scripts/cluster/daemon/main.ts";

/** Where the cluster of this user has its state. */
interface Roots {
  bin: string;
  cluster: string;
  run: string;
}

/**
 * Does a command line belong to the cluster? A program of ours (or our daemon's script) that names the state folder or
 * the socket folder; a person's `tail -f` of a log does not count, nor an etcd that a test runs elsewhere.
 */
export function isClusterCommand(command: readonly string[], roots: Roots): boolean {
  const [program = "", script = ""] = command;
  const isOurProgram = program.startsWith(`${roots.bin}/`) || script.endsWith(DAEMON_SCRIPT);
  const below = (root: string) => (part: string) =>
    part.includes(`${root}/`) || part === root || part.endsWith(`=${root}`);
  return isOurProgram && (command.some(below(roots.cluster)) || command.some(below(roots.run)));
}

/** A running process of the cluster. */
export interface OwnProcess extends ProcessIdentity {
  command: string;
}

/** Every process of the cluster: recorded, recognised by its command line, or in the cgroup of a node. */
export function listOwnProcesses(): OwnProcess[] {
  const roots = { bin: binRoot(), cluster: clusterRoot(), run: RUN_ROOT };
  const pids = new Set<number>(NODES().flatMap((node) => cgroupPids(node.cgroup)));
  for (const name of recordedProcesses()) {
    const identity = runningProcess(name);
    if (identity) pids.add(identity.pid);
  }
  for (const pid of allPids()) if (pid !== process.pid && isClusterCommand(commandLine(pid), roots)) pids.add(pid);
  return [...pids].flatMap((pid) => {
    const identity = identify(pid);
    return identity ? [{ ...identity, command: commandLine(pid).join(" ") }] : [];
  });
}
