// SPDX-License-Identifier: Apache-2.0
import { join } from "node:path";
import { clusterRoot } from "./paths.ts";

/** The host's end of the network on which nodes and the control plane meet. */
export const BRIDGE = "imc0";
export const HOST_ADDRESS = "10.89.0.1";
export const NODE_SUBNET = "10.89.0.0/24";
export const POD_SUBNET = "10.90.0.0/16";
export const SERVICE_SUBNET = "10.96.0.0/16";
export const API_SERVICE_ADDRESS = "10.96.0.1";
export const DNS_ADDRESS = "10.96.0.10";
export const CLUSTER_DOMAIN = "cluster.local";
export const API_PORT = 6443;
export const API_SERVER = `https://${HOST_ADDRESS}:${API_PORT}`;
export const ETCD_CLIENT_PORT = 23790;
export const ETCD_PEER_PORT = 23800;
export const KUBE_PROXY_HEALTH_PORT = 10256;
/** First and last of the addresses that Services of type LoadBalancer get, in 10.89.0.x. */
export const LOAD_BALANCER_RANGE = { first: 200, last: 250 } as const;
export const STORAGE_CLASS = "imc-local";

/** Sockets and mount namespace handles: a tmpfs of our own, so that paths stay short and go away at once. */
export const RUN_ROOT = "/run/imc";

/** One node: a network namespace and a mount namespace with a containerd, a kubelet and a kube-proxy of its own. */
export interface NodeLayout {
  index: number;
  /** Name in Kubernetes. */
  name: string;
  /** Network namespace. */
  namespace: string;
  /** The host's end of the node's link. */
  link: string;
  address: string;
  podSubnet: string;
  cgroup: string;
  /** State on disk. */
  folder: string;
  runFolder: string;
  containerdSocket: string;
  /** File that holds the mount namespace open. */
  mountNamespace: string;
}

/** Layout of node 1 or 2. */
export function nodeLayout(index: number): NodeLayout {
  const runFolder = join(RUN_ROOT, `n${index}`);
  return {
    index,
    name: `node${index}`,
    namespace: `imc-node${index}`,
    link: `imcv${index}`,
    address: `10.89.0.1${index}`,
    podSubnet: `10.90.${index - 1}.0/24`,
    cgroup: `imc-n${index}`,
    folder: join(clusterRoot(), `node${index}`),
    runFolder,
    containerdSocket: join(runFolder, "containerd.sock"),
    mountNamespace: join(RUN_ROOT, `n${index}.mnt`),
  };
}

export const NODES = (): NodeLayout[] => [1, 2].map(nodeLayout);

/** The command prefix that puts a program into a node's namespaces. */
export function inNode(node: NodeLayout): string[] {
  return ["nsenter", `--mount=${node.mountNamespace}`, `--net=/run/netns/${node.namespace}`, "--"];
}
