// SPDX-License-Identifier: Apache-2.0
// What makes NetworkPolicies hold on the local cluster, whose own network knows none: kube-router, for nothing but them, on each node.
import { ensureAptPackages } from "./apt.ts";
import { inNode, NODES, type NodeLayout, SERVICE_SUBNET } from "./layout.ts";
import { execInNode } from "./network.ts";
import { pkiFile } from "./pki.ts";
import { startProcess, stopProcess } from "./processes.ts";
import type { RunContext } from "./progress.ts";
import { ensureBinaries } from "./toolchain.ts";

const PROGRAM = "kube-router";
const STOP_GRACE_MS = 5000;
/** Chains of the enforcer's own; kube-proxy's begin in other ways. */
const OWN_CHAIN = /^KUBE-(ROUTER-|POD-FW-|NWPLCY-)/;
/** Sets of addresses that its rules name. */
const OWN_SET = /^(KUBE-(SRC|DST)-|kube-router-)/;

const nameOn = (node: NodeLayout): string => `${PROGRAM}-${node.name}`;

function commandOn(node: NodeLayout, program: string): string[] {
  return [
    program,
    "--run-firewall=true",
    "--run-router=false",
    "--run-service-proxy=false",
    "--enable-cni=false",
    `--hostname-override=${node.name}`,
    `--kubeconfig=${pkiFile("admin.kubeconfig")}`,
    `--service-cluster-ip-range=${SERVICE_SUBNET}`,
    "--v=1",
  ];
}

/** Starts it on both nodes; its first run is built, which takes some minutes. NetworkPolicies hold a moment later. */
export async function startEnforcer(context: RunContext): Promise<void> {
  await ensureAptPackages(["ipset"], context);
  const { [PROGRAM]: program = PROGRAM } = await ensureBinaries([PROGRAM], context);
  for (const node of NODES())
    await startProcess({ name: nameOn(node), command: commandOn(node, program), prefix: inNode(node) });
}

/** What takes the enforcer's rules out again at once, for `iptables-restore --noflush`; undefined when there are none. Pure. @param listing of `iptables -S` */
export function removalOf(listing: string): string | undefined {
  const lines = listing.split("\n");
  const chains = lines
    .flatMap((line) => /^-N (\S+)$/.exec(line)?.slice(1) ?? [])
    .filter((name) => OWN_CHAIN.test(name));
  if (chains.length === 0) return undefined;
  const jumps = lines.filter((line) => {
    const [, from = "", to = ""] = /^-A (\S+) .*-j (\S+)$/.exec(line) ?? [];
    return !OWN_CHAIN.test(from) && OWN_CHAIN.test(to);
  });
  const steps = [...jumps.map((line) => line.replace(/^-A/, "-D")), ...chains.map((name) => `-F ${name}`)];
  return ["*filter", ...steps, ...chains.map((name) => `-X ${name}`), "COMMIT", ""].join("\n");
}

/** Names of the enforcer's sets in the output of `ipset list -n`; those of sets come first, since they hold the others. Pure. */
export function ownSets(listing: string): string[] {
  return listing.split("\n").filter((name) => OWN_SET.test(name));
}

async function cleanUp(node: NodeLayout): Promise<void> {
  const removal = removalOf((await execInNode(node, ["iptables", "-w", "5", "-S"])).stdout);
  if (removal !== undefined) await execInNode(node, ["iptables-restore", "-w", "5", "--noflush"], removal);
  for (const name of ownSets((await execInNode(node, ["ipset", "list", "-n"])).stdout))
    await execInNode(node, ["ipset", "destroy", name]);
}

/** Ends it, and takes its rules away: the cluster is again as `make up` makes it. Idempotent. */
export async function stopEnforcer(): Promise<void> {
  for (const node of NODES()) {
    await stopProcess(nameOn(node), { graceMs: STOP_GRACE_MS });
    await cleanUp(node);
  }
}
