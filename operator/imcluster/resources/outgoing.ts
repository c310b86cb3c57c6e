// SPDX-License-Identifier: Apache-2.0
// Where push providers, webhooks and hooks are, as far as a spec says it: for NetworkPolicies.
import { INTERNET_V6, SPECIAL_V4, SPECIAL_V6 } from "#lib/special-addresses.ts";
import type { ImCluster } from "../../api/v1alpha1.ts";
import type { NetworkPolicyPeer } from "../../kube/types.ts";

/** Peers, and TCP ports of theirs; none: all. */
export interface Destination {
  peers: NetworkPolicyPeer[];
  ports: number[];
}

type Spec = ImCluster["spec"];

const HTTP = 80;
const HTTPS = 443;
/** Host of a Service, and the namespace in it. */
const SERVICE_HOST = /(?:^|[.])([a-z0-9-]+)[.]svc(?:[.]|$)/;

const block = ([net, bits]: readonly [string, number]): string => `${net}/${bits}`;

/** The Internet without private addresses: a webhook that is led astray reaches nothing inside. */
const INTERNET: readonly NetworkPolicyPeer[] = [
  { ipBlock: { cidr: "0.0.0.0/0", except: SPECIAL_V4.map(block) } },
  { ipBlock: { cidr: block(INTERNET_V6), except: SPECIAL_V6.map(block) } },
];

/** What logic calls beside its stores: hooks are asked, and the shop is told of pressed buttons. */
export function logicCalls({ chat }: Spec): Destination[] {
  return destinations(chat, [chat.cards?.actions?.url, ...hookUrls(chat)]);
}

/** What extlogic calls beside its stores. */
export function extlogicCalls({ extlogic, chat }: Spec): Destination[] {
  const { apns, fcm, webPush, wechat, sms } = extlogic.push ?? {};
  const providers = [apns, fcm, wechat, sms].flatMap((one) => (one ? [one.url ?? DEFAULT_URL] : []));
  const browsers = webPush ? (webPush.services ?? [DEFAULT_URL]) : [];
  return destinations(chat, [extlogic.webhook?.url, ...providers, ...browsers, ...hookUrls(chat)]);
}

/** Where all of them send their spans. A collector at a private address that is no Service is to be named by spec.networkPolicy.alsoTo. */
export function tracingCalls({ tracing }: Spec): Destination[] {
  return destinations({}, [tracing?.endpoint]);
}

/** Stands for addresses of which the spec says nothing: those of providers, and of hooks, which are in a Secret. */
const DEFAULT_URL = "https://example.com";

function hookUrls({ hooks }: Spec["chat"]): string[] {
  return hooks ? [DEFAULT_URL] : [];
}

function destinations(
  { webhookAllowedNetworks: networks = [] }: Pick<Spec["chat"], "webhookAllowedNetworks">,
  given: (string | undefined)[],
): Destination[] {
  const urls = given.flatMap((url) => URL.parse(url ?? "") ?? []);
  if (urls.length === 0) return [];
  const namespaces = new Set<string>();
  const ports = new Set<number>();
  for (const { hostname, port, protocol } of urls) {
    const namespace = SERVICE_HOST.exec(hostname)?.[1];
    if (namespace) namespaces.add(namespace);
    else ports.add(port ? Number(port) : protocol === "http:" ? HTTP : HTTPS);
  }
  // The port of a Service is not that of its pods, which is what a policy is about.
  const services = [...namespaces].map((namespace) => ({ peers: [inNamespace(namespace)], ports: [] }));
  return [
    ...(ports.size > 0 ? [{ peers: [...INTERNET], ports: [...ports].sort((a, b) => a - b) }] : []),
    ...services,
    ...(networks.length > 0 ? [{ peers: networks.map((cidr) => ({ ipBlock: { cidr } })), ports: [] }] : []),
  ];
}

/** All pods of a namespace. */
export function inNamespace(name: string): NetworkPolicyPeer {
  return { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": name } } };
}
