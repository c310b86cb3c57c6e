// SPDX-License-Identifier: Apache-2.0
// What a network plugin that enforces NetworkPolicies lets through. Pure. https://kubernetes.io/docs/concepts/services-networking/network-policies/
import { BlockList, isIP } from "node:net";
import type { LabelSelector, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from "../../kube/types.ts";

/** A pod, or an address outside of the cluster, which has no namespace. */
export interface Place {
  ip: string;
  namespace?: string;
  labels?: Readonly<Record<string, string>>;
}

export interface Flow {
  from: Place;
  to: Place;
  port: number;
  protocol?: "TCP" | "UDP";
}

interface Expression {
  key: string;
  operator: string;
  values?: string[];
}

/** Both ends have a say: what leaves one pod may still not come into the other. */
export function letsThrough(policies: readonly NetworkPolicy[], flow: Flow): boolean {
  return mayLeave(policies, flow) && mayEnter(policies, flow);
}

/** What its own policies say of what leaves a pod. */
export function mayLeave(policies: readonly NetworkPolicy[], flow: Flow): boolean {
  const own = policies.filter((policy) => isOf(policy, flow.from) && typesOf(policy).includes("Egress"));
  if (own.length === 0) return true;
  return own.some((policy) =>
    (policy.spec.egress ?? []).some(({ to, ports }) => matchesPeers(policy, to, flow.to) && matchesPorts(ports, flow)),
  );
}

/** What its own policies say of what comes into a pod. */
export function mayEnter(policies: readonly NetworkPolicy[], flow: Flow): boolean {
  const own = policies.filter((policy) => isOf(policy, flow.to) && typesOf(policy).includes("Ingress"));
  if (own.length === 0) return true;
  return own.some((policy) =>
    (policy.spec.ingress ?? []).some(
      ({ from, ports }) => matchesPeers(policy, from, flow.from) && matchesPorts(ports, flow),
    ),
  );
}

/** Without a word a policy is about what comes in, and about what goes out where it has rules for that. */
function typesOf({ spec }: NetworkPolicy): readonly string[] {
  return spec.policyTypes ?? ["Ingress", ...(spec.egress ? ["Egress"] : [])];
}

function isOf({ metadata, spec }: NetworkPolicy, { namespace, labels = {} }: Place): boolean {
  return namespace !== undefined && metadata.namespace === namespace && selects(spec.podSelector, labels);
}

function matchesPeers(policy: NetworkPolicy, peers: readonly NetworkPolicyPeer[] = [], place: Place): boolean {
  return peers.length === 0 || peers.some((peer) => matchesPeer(policy, peer, place));
}

function matchesPeer({ metadata }: NetworkPolicy, peer: NetworkPolicyPeer, place: Place): boolean {
  const { ipBlock, podSelector, namespaceSelector } = peer;
  // Plugins differ in whether a range is also about pods in it: the worse of both is assumed.
  if (ipBlock)
    return isWithin(ipBlock.cidr, place.ip) && !(ipBlock.except ?? []).some((one) => isWithin(one, place.ip));
  if (place.namespace === undefined) return false;
  const ofNamespace = namespaceSelector
    ? selects(namespaceSelector, { "kubernetes.io/metadata.name": place.namespace })
    : place.namespace === metadata.namespace;
  return ofNamespace && selects(podSelector ?? {}, place.labels ?? {});
}

function matchesPorts(ports: readonly NetworkPolicyPort[] = [], { port, protocol = "TCP" }: Flow): boolean {
  const isMeant = (one: NetworkPolicyPort) => (one.protocol ?? "TCP") === protocol && (one.port ?? port) === port;
  return ports.length === 0 || ports.some(isMeant);
}

const ranges = new Map<string, BlockList>();
const familyOf = (address: string) => (isIP(address) === 6 ? "ipv6" : "ipv4");

function isWithin(cidr: string, ip: string): boolean {
  const [net = "", bits = ""] = cidr.split("/");
  if (familyOf(net) !== familyOf(ip)) return false;
  const range = ranges.get(cidr) ?? new BlockList();
  if (!ranges.has(cidr)) range.addSubnet(net, Number(bits), familyOf(net));
  ranges.set(cidr, range);
  return range.check(ip, familyOf(ip));
}

/** @throws TypeError for an operator that Kubernetes does not have */
export function selects(selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  const expressions = (selector.matchExpressions ?? []) as Expression[];
  return (
    Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value) &&
    expressions.every((one) => holds(one, labels))
  );
}

function holds({ key, operator, values = [] }: Expression, labels: Readonly<Record<string, string>>): boolean {
  const value = labels[key];
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    default:
      throw new TypeError(`a selector has no operator ${operator}`);
  }
}
