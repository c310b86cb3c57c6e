// SPDX-License-Identifier: Apache-2.0
import { rmSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { removeCgroup } from "./cgroups.ts";
import { ClusterFault } from "./fault.ts";
import { removeFirewallRules } from "./firewall.ts";
import { NODES } from "./layout.ts";
import { leftovers } from "./leftovers.ts";
import { withLock } from "./lock.ts";
import { removeEmptyNamespaceFolder, removeRunRoot } from "./mounts.ts";
import { removeNetwork } from "./network.ts";
import { listOwnProcesses } from "./own-processes.ts";
import { assertOwnMachine } from "./owner.ts";
import { clusterRoot } from "./paths.ts";
import { signalProcess } from "./process-identity.ts";
import type { RunContext } from "./progress.ts";

const KILL_TIMEOUT_MS = 15_000;
const CGROUP_TIMEOUT_MS = 10_000;

/** Ends every process of the cluster. A killed kubelet or shim may still have started another one: look again. */
async function killProcesses(signal: AbortSignal | undefined): Promise<number> {
  const deadlineMs = performance.now() + KILL_TIMEOUT_MS;
  let killed = 0;
  for (;;) {
    const processes = listOwnProcesses();
    if (processes.length === 0) return killed;
    for (const process of processes) if (signalProcess(process, "SIGKILL")) killed++;
    if (performance.now() > deadlineMs) {
      const [first] = processes;
      throw new ClusterFault(
        `process ${first?.pid} does not end: ${first?.command}`,
        "It hangs in the kernel; reboot, then run down again.",
      );
    }
    signal?.throwIfAborted();
    await delay(30);
  }
}

/** The kernel needs a moment to let go of the groups of killed processes. */
async function removeCgroups(): Promise<void> {
  const deadlineMs = performance.now() + CGROUP_TIMEOUT_MS;
  for (const node of NODES()) {
    while (!removeCgroup(node.cgroup) && performance.now() < deadlineMs) await delay(50);
  }
}

async function removeAll(context: RunContext): Promise<number> {
  const processes = await killProcesses(context.signal);
  await removeRunRoot();
  await removeNetwork();
  await removeEmptyNamespaceFolder();
  await removeCgroups();
  await removeFirewallRules();
  rmSync(clusterRoot(), { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  return processes;
}

/** What {@link down} did. */
export interface DownResult {
  /** False when there was nothing to remove. */
  removed: boolean;
  processes: number;
  leftovers: string[];
}

/**
 * Removes the local cluster: processes, mounts, links, namespaces, cgroups, rules, state. The cache of programs and
 * images stays. Works on a half-made cluster, and again on none. Throws ClusterFault when something stays.
 */
export async function down(context: RunContext): Promise<DownResult> {
  if (process.getuid?.() !== 0) throw new ClusterFault("removing the local cluster needs root", "Run it by sudo -E.");
  const onWait = (pid: number): void => context.progress.line(`process ${pid} works on the cluster, waiting`);
  return await withLock(
    clusterRoot(),
    async () => {
      assertOwnMachine();
      const before = await leftovers();
      if (before.length === 0) return { removed: false, processes: 0, leftovers: [] };
      const processes = await removeAll(context);
      const left = await leftovers();
      if (left.length > 0)
        throw new ClusterFault(`not everything could be removed:\n${left.join("\n")}`, "Run down again.");
      context.progress.line(`local cluster removed: ${processes} processes ended`);
      return { removed: true, processes, leftovers: [] };
    },
    { signal: context.signal, onWait },
  );
}
