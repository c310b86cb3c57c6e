// SPDX-License-Identifier: Apache-2.0
import { existsSync, statfsSync } from "node:fs";
import { createServer } from "node:net";
import { ensureAptPackages } from "./apt.ts";
import { run } from "./command.ts";
import { ClusterFault } from "./fault.ts";
import { makeFolder } from "./folder.ts";
import {
  API_PORT,
  BRIDGE,
  ETCD_CLIENT_PORT,
  ETCD_PEER_PORT,
  HOST_ADDRESS,
  NODE_SUBNET,
  POD_SUBNET,
  SERVICE_SUBNET,
} from "./layout.ts";
import { PRIVATE_FOLDERS } from "./mounts.ts";
import { listOwnProcesses } from "./own-processes.ts";
import { assertOwnMachine } from "./owner.ts";
import { cacheRoot } from "./paths.ts";
import type { RunContext } from "./progress.ts";

/** Debian packages whose programs the cluster calls; redis-tools is copied into an image. */
const APT_PACKAGES = [
  "runc",
  "containernetworking-plugins",
  "iptables",
  "iproute2",
  "conntrack",
  "socat",
  "util-linux",
  "procps",
  "openssl",
  "redis-tools",
];
const MIN_FREE_BYTES = 8 * 2 ** 30;
const OWN_CLUSTER = "or use a cluster of your own: make up CONTEXT=name";

/** `10.89.0.0/24` -> first and last address as numbers. */
export function parseSubnet(cidr: string): { first: number; last: number } {
  const [address = "", bits = "32"] = cidr.split("/");
  const value = address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  const size = 2 ** (32 - Number(bits));
  const first = Math.floor(value / size) * size;
  return { first, last: first + size - 1 };
}

/** Do two subnets share an address? */
export function overlaps(a: string, b: string): boolean {
  const [x, y] = [parseSubnet(a), parseSubnet(b)];
  return x.first <= y.last && y.first <= x.last;
}

function checkHost(): void {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new ClusterFault(
      `the local cluster needs Linux on x64, this is ${process.platform} on ${process.arch}`,
      `Use Linux, ${OWN_CLUSTER}.`,
    );
  }
  if (process.getuid?.() !== 0) {
    throw new ClusterFault(
      "the local cluster needs root: it makes network namespaces, mounts and cgroups",
      `Run it by sudo -E, ${OWN_CLUSTER}.`,
    );
  }
}

function checkDisk(): void {
  makeFolder(cacheRoot());
  const { bavail, bsize } = statfsSync(cacheRoot());
  const freeBytes = bavail * bsize;
  if (freeBytes < MIN_FREE_BYTES) {
    const gib = (bytes: number): string => (bytes / 2 ** 30).toFixed(1);
    throw new ClusterFault(
      `${cacheRoot()} has ${gib(freeBytes)} GiB free, ${gib(MIN_FREE_BYTES)} are needed`,
      "Free some space, or name another folder in IMCLUSTER_CACHE.",
    );
  }
  const hidden = PRIVATE_FOLDERS.find((folder) => `${cacheRoot()}/`.startsWith(`${folder}/`));
  if (hidden) {
    throw new ClusterFault(
      `${cacheRoot()} lies below ${hidden}, which each node replaces by its own`,
      "Name another folder in IMCLUSTER_CACHE.",
    );
  }
}

async function checkKernel(): Promise<void> {
  const bridgeNetfilter = "/proc/sys/net/bridge/bridge-nf-call-iptables";
  if (!existsSync(bridgeNetfilter))
    await run("modprobe", ["-a", "br_netfilter", "overlay", "veth"], { mayFail: true }).catch(() => undefined);
  const needed: Record<string, string> = {
    [bridgeNetfilter]: "bridge netfilter (module br_netfilter)",
    "/proc/self/ns/net": "network namespaces",
    "/proc/self/ns/mnt": "mount namespaces",
    "/sys/fs/cgroup": "cgroups mounted at /sys/fs/cgroup",
  };
  for (const [path, what] of Object.entries(needed)) {
    if (!existsSync(path))
      throw new ClusterFault(`the kernel lacks ${what}: ${path} does not exist`, `Load or enable it, ${OWN_CLUSTER}.`);
  }
}

interface Route {
  dst: string;
  dev?: string;
}

/** Subnets that something else on this machine uses already; routes over our own bridge do not count. */
export function findConflicts(routes: readonly Route[]): string[] {
  const ours = [NODE_SUBNET, POD_SUBNET, SERVICE_SUBNET];
  return routes
    .filter(
      (route) => /^\d/.test(route.dst) && route.dev !== BRIDGE && ours.some((subnet) => overlaps(subnet, route.dst)),
    )
    .map((route) => `${route.dst}${route.dev ? ` (${route.dev})` : ""}`);
}

async function checkAddresses(): Promise<void> {
  const { stdout } = await run("ip", ["-j", "-4", "route", "show", "table", "all"]);
  const conflicts = findConflicts(JSON.parse(stdout || "[]") as Route[]);
  if (conflicts.length > 0) {
    throw new ClusterFault(
      `addresses of the local cluster (${NODE_SUBNET}, ${POD_SUBNET}, ${SERVICE_SUBNET}) are in use: ${conflicts.join(", ")}`,
      `Stop what uses them (another local Kubernetes, a VPN), ${OWN_CLUSTER}.`,
    );
  }
}

/** Could a server listen there now? Rejects when the address is not this machine's. */
export async function isPortFree(host: string, port: number): Promise<boolean> {
  return await new Promise<boolean>((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(false);
      else reject(error);
    });
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** The ports that are bound in the host's network namespace; a process of ours that holds them is fine. */
export async function checkPorts(): Promise<void> {
  const wanted = [
    { process: "etcd", host: "127.0.0.1", port: ETCD_CLIENT_PORT },
    { process: "etcd", host: "127.0.0.1", port: ETCD_PEER_PORT },
    { process: "kube-apiserver", host: HOST_ADDRESS, port: API_PORT },
  ];
  const own = listOwnProcesses();
  for (const { process: name, host, port } of wanted) {
    if (own.some(({ command }) => command.includes(`/${name} `)) || (await isPortFree(host, port))) continue;
    throw new ClusterFault(
      `${host}:${port} is taken, ${name} needs it`,
      `See who has it by \`ss -ltnp 'sport = :${port}'\` and end it, ${OWN_CLUSTER}.`,
    );
  }
}

/** Everything that can be known before anything is changed; installs missing Debian packages. */
export async function preflight(context: RunContext): Promise<void> {
  checkHost();
  checkDisk();
  assertOwnMachine();
  await ensureAptPackages(APT_PACKAGES, context);
  await checkKernel();
  await checkAddresses();
}
