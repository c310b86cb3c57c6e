// SPDX-License-Identifier: Apache-2.0
import { existsSync, readFileSync } from "node:fs";
import { run } from "./command.ts";
import { BRIDGE } from "./layout.ts";

const COMMENT = "imcluster-local-cluster";
const BRIDGE_NETFILTER = "/proc/sys/net/bridge/bridge-nf-call-iptables";
const RULES = {
  INPUT: ["-i", BRIDGE],
  FORWARD: ["-i", BRIDGE, "-o", BRIDGE],
} as const;
type Chain = keyof typeof RULES;

/** Chains of `iptables -S` whose policy drops what no rule accepts: Docker sets that for FORWARD, ufw for INPUT. */
export function droppingChains(listing: string): Chain[] {
  return (Object.keys(RULES) as Chain[]).filter((chain) => new RegExp(`^-P ${chain} DROP$`, "m").test(listing));
}

/** Lines of `iptables -S` that are ours. */
export function ownRules(listing: string): string[] {
  return listing.split("\n").filter((line) => line.includes(`"${COMMENT}"`) || line.includes(`--comment ${COMMENT} `));
}

async function listRules(): Promise<string> {
  if (!existsSync("/usr/sbin/iptables") && !existsSync("/sbin/iptables")) return "";
  return (await run("iptables", ["-w", "5", "-S"], { mayFail: true })).stdout;
}

const ruleArgs = (chain: Chain): string[] => [
  chain,
  ...RULES[chain],
  "-m",
  "comment",
  "--comment",
  COMMENT,
  "-j",
  "ACCEPT",
];

function isNeeded(chain: Chain): boolean {
  if (chain === "INPUT") return true;
  return existsSync(BRIDGE_NETFILTER) && readFileSync(BRIDGE_NETFILTER, "utf8").trim() === "1";
}

/**
 * Lets the nodes talk to each other and to the control plane where the host drops by default. On a host without such
 * a policy nothing is changed.
 */
export async function ensureFirewallRules(): Promise<void> {
  for (const chain of droppingChains(await listRules())) {
    if (!isNeeded(chain)) continue;
    const exists = await run("iptables", ["-w", "5", "-C", ...ruleArgs(chain)], { mayFail: true });
    if (exists.code !== 0) await run("iptables", ["-w", "5", "-I", ...ruleArgs(chain)]);
  }
}

/** Our rules in the host's namespace now. */
export async function listOwnRules(): Promise<string[]> {
  return ownRules(await listRules());
}

/** Removes our rules. Idempotent. */
export async function removeFirewallRules(): Promise<void> {
  if ((await listOwnRules()).length === 0) return;
  for (const chain of Object.keys(RULES) as Chain[]) {
    while ((await run("iptables", ["-w", "5", "-D", ...ruleArgs(chain)], { mayFail: true })).code === 0);
  }
}
