// SPDX-License-Identifier: Apache-2.0
import type { NetworkPolicyPostgresToSpec as DestinationSpec, NetworkPolicySpec } from "../../api/v1alpha1.ts";
import type { NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort } from "../../kube/types.ts";
import { COMPONENTS, type Component, LABEL, PORT, selectorLabels } from "../names.ts";
import { type BuildContext, owned, perContext } from "./context.ts";
import { type Destination, extlogicCalls, inNamespace, logicCalls, tracingCalls } from "./outgoing.ts";

type Ingress = NonNullable<NetworkPolicy["spec"]["ingress"]>[number];
type Egress = NonNullable<NetworkPolicy["spec"]["egress"]>[number];

interface Rules {
  ingress?: Ingress[];
  egress?: Egress[];
}

const DNS_PORT = 53;
/** Link-local: where caches on the node itself answer. */
const NODE_LOCAL: NetworkPolicyPeer = { ipBlock: { cidr: "169.254.0.0/16" } };
/** Of every chart that brings Prometheus. */
const PROMETHEUS: NetworkPolicyPeer = {
  namespaceSelector: {},
  podSelector: { matchLabels: { [LABEL.name]: "prometheus" } },
};

/** Names of all policies that a cluster may have, whether it has them now or not. */
export function networkPolicyNames(context: BuildContext): string[] {
  return ["default-deny", ...COMPONENTS].map((part) => `${context.cluster.metadata.name}-${part}`);
}

/** Who may talk with whom; none where the spec does not ask for it. Policies add up: the first denies, each other one allows. */
export const networkPolicies = perContext((context: BuildContext): NetworkPolicy[] => {
  const { networkPolicy: given, redis } = context.cluster.spec;
  if (!given) return [];
  const hasPostgres = context.storage.kind !== "external";
  return [
    defaultDeny(context),
    policy(context, "entry", entryRules(context, given)),
    policy(context, "logic", logicRules(context, given)),
    policy(context, "extlogic", extlogicRules(context, given)),
    policy(context, "migrate", { egress: [...dns(given), ...toPostgres(context, given)] }),
    ...(hasPostgres
      ? [policy(context, "postgres", storeRules(context, "postgres", ["logic", "extlogic", "migrate"]))]
      : []),
    ...(redis.urlSecretRef ? [] : [policy(context, "redis", storeRules(context, "redis", ["logic", "extlogic"]))]),
  ];
});

/** Every pod of the cluster, also of a component that is to come: nothing in, nothing out. */
function defaultDeny(context: BuildContext): NetworkPolicy {
  const name = context.cluster.metadata.name;
  return owned(context, "entry", {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: `${name}-default-deny` },
    spec: { podSelector: { matchLabels: { [LABEL.cluster]: name } }, policyTypes: ["Ingress", "Egress"] },
  });
}

/** A side without a rule is left to the policy that denies. */
function policy(context: BuildContext, component: Component, { ingress = [], egress = [] }: Rules): NetworkPolicy {
  const name = context.cluster.metadata.name;
  return owned(context, component, {
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: `${name}-${component}` },
    spec: {
      podSelector: { matchLabels: selectorLabels(name, component) },
      policyTypes: [
        ...(ingress.length > 0 ? ["Ingress" as const] : []),
        ...(egress.length > 0 ? ["Egress" as const] : []),
      ],
      ...(ingress.length > 0 ? { ingress } : {}),
      ...(egress.length > 0 ? { egress } : {}),
    },
  });
}

function entryRules(context: BuildContext, given: NetworkPolicySpec): Rules {
  const clientPorts = [PORT.tls, PORT.http];
  return {
    ingress: [
      ...(given.clientsFrom ? from(given.clientsFrom, clientPorts) : [{ ports: clientPorts.map(tcp) }]),
      ...from([operator(context)], [PORT.entryControl]),
      ...metrics(given),
    ],
    egress: [...dns(given), ...to([ours(context, "logic")], [PORT.logicGrpc]), ...collector(context), ...also(given)],
  };
}

function logicRules(context: BuildContext, given: NetworkPolicySpec): Rules {
  const { serverApi } = context.cluster.spec.logic;
  const apiPorts = serverApi ? [PORT.api, ...(serverApi.grpc ? [PORT.apiGrpc] : [])] : [];
  return {
    ingress: [
      ...from([ours(context, "entry"), operator(context)], [PORT.logicGrpc]),
      ...(serverApi ? from(given.apiFrom ?? [{ namespaceSelector: {} }], apiPorts) : []),
      ...metrics(given),
    ],
    egress: [
      ...stores(context, given),
      ...providers(given, logicCalls(context.cluster.spec)),
      ...collector(context),
      ...also(given),
    ],
  };
}

function extlogicRules(context: BuildContext, given: NetworkPolicySpec): Rules {
  return {
    ingress: metrics(given),
    egress: [
      ...stores(context, given),
      ...providers(given, extlogicCalls(context.cluster.spec)),
      ...collector(context),
      ...also(given),
    ],
  };
}

function storeRules(context: BuildContext, store: "postgres" | "redis", users: Component[]): Rules {
  return {
    ingress: from(
      users.map((user) => ours(context, user)),
      [PORT[store]],
    ),
  };
}

function stores(context: BuildContext, given: NetworkPolicySpec): Egress[] {
  return [...dns(given), ...toPostgres(context, given), ...toRedis(context, given)];
}

function toPostgres(context: BuildContext, given: NetworkPolicySpec): Egress[] {
  if (context.storage.kind !== "external") return to([ours(context, "postgres")], [PORT.postgres]);
  return destinations(given.postgresTo, [PORT.postgres]);
}

function toRedis(context: BuildContext, given: NetworkPolicySpec): Egress[] {
  if (!context.cluster.spec.redis.urlSecretRef) return to([ours(context, "redis")], [PORT.redis]);
  return destinations(given.redisTo, [PORT.redis]);
}

/** @param calls what the spec names; none: this pod calls nobody outside, wherever others are */
function providers(given: NetworkPolicySpec, calls: readonly Destination[]): Egress[] {
  if (calls.length === 0) return [];
  if (given.providersTo) return destinations(given.providersTo, [443]);
  return calls.flatMap(({ peers, ports }) => to(peers, ports));
}

/** Of traces. */
function collector({ cluster }: BuildContext): Egress[] {
  return tracingCalls(cluster.spec).flatMap(({ peers, ports }) => to(peers, ports));
}

function dns({ dnsTo }: NetworkPolicySpec): Egress[] {
  const both = (port: number): NetworkPolicyPort[] => [{ protocol: "UDP", port }, tcp(port)];
  if (!dnsTo) return [{ to: [inNamespace("kube-system"), NODE_LOCAL], ports: both(DNS_PORT) }];
  return dnsTo.map(({ ports = [DNS_PORT], ...peer }) => ({ to: [peer], ports: ports.flatMap(both) }));
}

function metrics({ metricsFrom }: NetworkPolicySpec): Ingress[] {
  return from(metricsFrom ?? [PROMETHEUS], [PORT.admin]);
}

function also({ alsoTo }: NetworkPolicySpec): Egress[] {
  return destinations(alsoTo, []);
}

function ours(context: BuildContext, component: Component): NetworkPolicyPeer {
  return { podSelector: { matchLabels: selectorLabels(context.cluster.metadata.name, component) } };
}

function operator({ config }: BuildContext): NetworkPolicyPeer {
  const labels = { [LABEL.name]: "im-operator", [LABEL.component]: "operator" };
  return { ...inNamespace(config.operatorNamespace), podSelector: { matchLabels: labels } };
}

function destinations(given: readonly DestinationSpec[] = [], defaultPorts: readonly number[]): Egress[] {
  return given.flatMap(({ ports = defaultPorts, ...peer }) => to([peer], ports));
}

/** No rule for no peer: to Kubernetes an empty list is everyone. */
function from(peers: readonly NetworkPolicyPeer[], ports: readonly number[]): Ingress[] {
  return peers.length === 0 ? [] : [{ from: [...peers], ports: ports.map(tcp) }];
}

/** @param ports none: all of TCP */
function to(peers: readonly NetworkPolicyPeer[], ports: readonly number[]): Egress[] {
  if (peers.length === 0) return [];
  return [{ to: [...peers], ports: ports.length > 0 ? ports.map(tcp) : [{ protocol: "TCP" }] }];
}

function tcp(port: number): NetworkPolicyPort {
  return { protocol: "TCP", port };
}
