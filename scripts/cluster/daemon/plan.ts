// SPDX-License-Identifier: Apache-2.0
import type { KubeObject } from "../kube.ts";
import { LOAD_BALANCER_RANGE } from "../layout.ts";

/** Only Services without a class, or of this one, are ours. */
export const LOAD_BALANCER_CLASS = "imcluster.io/local";

export interface Service extends KubeObject {
  spec: {
    type?: string;
    externalTrafficPolicy?: "Cluster" | "Local";
    loadBalancerClass?: string;
    loadBalancerIP?: string;
  };
  status?: { loadBalancer?: { ingress?: { ip?: string; ipMode?: string }[] } };
}

export interface EndpointSlice extends KubeObject {
  endpoints?: { nodeName?: string; conditions?: { ready?: boolean } }[];
}

/** A node as the load balancer sees it. */
export interface TargetNode {
  name: string;
  /** Its kube-proxy answers health probes. */
  isHealthy: boolean;
  /** Load balancer addresses that the node has now. */
  addresses: readonly string[];
}

/** Where a Service's address is to be; without a node it stays announced but answers nothing. */
export interface Placement {
  /** `namespace/name` */
  service: string;
  address: string;
  node: string | undefined;
}

/** `namespace/name` of an object. */
export const keyOf = (object: KubeObject): string => `${object.metadata.namespace ?? ""}/${object.metadata.name}`;

/** Is this a Service that wants an address from us? */
export function isOurs(service: Service): boolean {
  const { type, loadBalancerClass } = service.spec;
  if (type !== "LoadBalancer" || service.metadata.deletionTimestamp) return false;
  return loadBalancerClass === undefined || loadBalancerClass === LOAD_BALANCER_CLASS;
}

/** Every address that can be given out, lowest first. */
export function addressRange(): string[] {
  const { first, last } = LOAD_BALANCER_RANGE;
  return Array.from({ length: last - first + 1 }, (_, i) => `10.89.0.${first + i}`);
}

/** Names of the nodes with a ready endpoint, by Service key. */
export function readyNodes(slices: Iterable<EndpointSlice>): Map<string, Set<string>> {
  const byService = new Map<string, Set<string>>();
  for (const slice of slices) {
    const name = slice.metadata.labels?.["kubernetes.io/service-name"];
    if (!name) continue;
    const key = `${slice.metadata.namespace ?? ""}/${name}`;
    const nodes = byService.get(key) ?? new Set();
    byService.set(key, nodes);
    for (const endpoint of slice.endpoints ?? []) {
      if (endpoint.nodeName && endpoint.conditions?.ready !== false) nodes.add(endpoint.nodeName);
    }
  }
  return byService;
}

/** Keeps each Service's address, honours a wish, and gives the lowest free one to the rest; none when all are taken. */
function assignAddresses(services: readonly Service[]): Map<string, string> {
  const free = new Set(addressRange());
  const assigned = new Map<string, string>();
  const take = (service: Service, address: string | undefined): void => {
    if (address === undefined || assigned.has(keyOf(service)) || !free.delete(address)) return;
    assigned.set(keyOf(service), address);
  };
  for (const service of services) take(service, service.status?.loadBalancer?.ingress?.[0]?.ip);
  for (const service of services) take(service, service.spec.loadBalancerIP);
  for (const service of services) take(service, free.values().next().value);
  return assigned;
}

/**
 * With policy Local, a node without a ready pod drops the traffic, so the address follows the pods. With Cluster any
 * node forwards, and moving would break the connections through it, so only a dead node is left.
 */
function chooseNode(
  service: Service,
  current: TargetNode | undefined,
  nodes: readonly TargetNode[],
  ready: ReadonlySet<string>,
  load: ReadonlyMap<string, number>,
): TargetNode | undefined {
  const healthy = nodes.filter((node) => node.isHealthy);
  const withPods = healthy.filter((node) => ready.has(node.name));
  const isLocal = service.spec.externalTrafficPolicy === "Local";
  if (current?.isHealthy && (!isLocal || ready.has(current.name) || withPods.length === 0)) return current;
  const candidates = withPods.length > 0 ? withPods : healthy;
  const byLoad = [...candidates].sort(
    (a, b) => (load.get(a.name) ?? 0) - (load.get(b.name) ?? 0) || a.name.localeCompare(b.name),
  );
  return byLoad[0] ?? current;
}

/** Address and node of every Service of ours; deterministic, and the same again for its own result. */
export function planPlacements(
  services: readonly Service[],
  slices: Iterable<EndpointSlice>,
  nodes: readonly TargetNode[],
): Placement[] {
  const ours = services.filter(isOurs).sort((a, b) => keyOf(a).localeCompare(keyOf(b)));
  const addresses = assignAddresses(ours);
  const ready = readyNodes(slices);
  const load = new Map<string, number>();
  const placements: Placement[] = [];
  for (const service of ours) {
    const key = keyOf(service);
    const address = addresses.get(key);
    if (address === undefined) continue;
    const current = nodes.find((node) => node.addresses.includes(address));
    const node = chooseNode(service, current, nodes, ready.get(key) ?? new Set(), load);
    if (node) load.set(node.name, (load.get(node.name) ?? 0) + 1);
    placements.push({ service: key, address, node: node?.name });
  }
  return placements;
}
