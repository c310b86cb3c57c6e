// SPDX-License-Identifier: Apache-2.0
import { run } from "./command.ts";
import { BRIDGE, HOST_ADDRESS, inNode, NODES, type NodeLayout } from "./layout.ts";

/** Runs `ip` and says whether it worked. */
async function tryIp(args: string[]): Promise<boolean> {
  return (await run("ip", args, { mayFail: true })).code === 0;
}

async function ip(args: string): Promise<void> {
  await run("ip", args.split(" "));
}

/** A network device as `ip -j addr` prints it, as far as we look. */
export interface Device {
  ifname: string;
  operstate?: string;
  addr_info?: { local: string; prefixlen: number }[];
}

/** Devices with their addresses, of the host or of a network namespace; empty when the namespace does not exist. */
export async function listDevices(namespace?: string): Promise<Device[]> {
  const { code, stdout } = await run("ip", [...(namespace ? ["-n", namespace] : []), "-j", "-4", "addr"], {
    mayFail: true,
  });
  return code === 0 ? (JSON.parse(stdout || "[]") as Device[]) : [];
}

/** Names of the network namespaces of this host. */
export async function listNamespaces(): Promise<string[]> {
  const { stdout } = await run("ip", ["-j", "netns", "list"], { mayFail: true });
  return stdout.trim() === "" ? [] : (JSON.parse(stdout) as { name: string }[]).map((namespace) => namespace.name);
}

/** The bridge in the host's namespace on which control plane and nodes meet. */
export async function ensureBridge(): Promise<void> {
  if (!(await tryIp(["link", "show", "dev", BRIDGE]))) await ip(`link add ${BRIDGE} type bridge`);
  await ip(`addr replace ${HOST_ADDRESS}/24 dev ${BRIDGE}`);
  await ip(`link set ${BRIDGE} up`);
}

/** A node's namespace, its link to the bridge, its routes. What exists is left as it is; a link that is cut stays cut. */
export async function ensureNodeNetwork(node: NodeLayout): Promise<void> {
  if (!(await listNamespaces()).includes(node.namespace)) await ip(`netns add ${node.namespace}`);
  if (!(await tryIp(["link", "show", "dev", node.link]))) {
    await ip(`link add ${node.link} type veth peer name eth0 netns ${node.namespace}`);
    await ip(`link set ${node.link} master ${BRIDGE} up`);
  }
  await ip(`link set ${node.link} master ${BRIDGE}`);
  await ip(`-n ${node.namespace} addr replace ${node.address}/24 dev eth0`);
  await ip(`-n ${node.namespace} link set eth0 up`);
  await ip(`-n ${node.namespace} link set lo up`);
  await ip(`-n ${node.namespace} route replace default via ${HOST_ADDRESS}`);
  const settings = ["net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=1"];
  await run("nsenter", [`--net=/run/netns/${node.namespace}`, "sysctl", "-qw", ...settings], {
    remedy: "The kernel must have bridge netfilter: `modprobe br_netfilter`, then start again.",
  });
}

/** Routes to the pods of each node, from the host and from the other nodes. */
export async function ensurePodRoutes(): Promise<void> {
  for (const node of NODES()) {
    await ip(`route replace ${node.podSubnet} via ${node.address} dev ${BRIDGE}`);
    for (const other of NODES()) {
      if (other.index !== node.index)
        await ip(`-n ${other.namespace} route replace ${node.podSubnet} via ${node.address}`);
    }
  }
}

/** Cuts a node off (or connects it again), as a pulled cable would. */
export async function setNodeLink(node: NodeLayout, isUp: boolean): Promise<void> {
  await ip(`link set ${node.link} ${isUp ? "up" : "down"}`);
}

/** Gives an address of the bridge's subnet to a node. */
export async function addNodeAddress(node: NodeLayout, address: string): Promise<void> {
  await ip(`-n ${node.namespace} addr replace ${address}/32 dev eth0`);
}

/** Takes an address from a node; fine when it has gone already. */
export async function removeNodeAddress(node: NodeLayout, address: string): Promise<void> {
  await tryIp(["-n", node.namespace, "addr", "del", `${address}/32`, "dev", "eth0"]);
}

/** Makes the host and every node ask again who has an address, after it moved. */
export async function forgetNeighbour(address: string): Promise<void> {
  await tryIp(["neigh", "flush", "to", address, "dev", BRIDGE]);
  for (const node of NODES()) await tryIp(["-n", node.namespace, "neigh", "flush", "to", address, "dev", "eth0"]);
}

/** Removes links, namespaces and the bridge; routes and addresses go with them. Idempotent. */
export async function removeNetwork(): Promise<void> {
  const namespaces = await listNamespaces();
  for (const node of NODES()) {
    if (namespaces.includes(node.namespace)) await ip(`netns del ${node.namespace}`);
    await tryIp(["link", "del", node.link]);
  }
  await tryIp(["link", "del", BRIDGE]);
}

/** Runs a command inside a node, as a shell on that machine would. */
export async function execInNode(
  node: NodeLayout,
  command: string[],
  input?: string,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const [program = "", ...args] = [...inNode(node), ...command];
  return await run(program, args, { mayFail: true, timeoutMs: 60_000, input });
}
