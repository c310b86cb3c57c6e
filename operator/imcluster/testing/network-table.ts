// SPDX-License-Identifier: Apache-2.0
// Two fleets, and who is to reach whom in each: everything else is denied.
import type { NetworkPolicy } from "../../kube/types.ts";
import { networkPolicies } from "../resources/network-policies.ts";
import { EVERYBODY, FLEET, type Name, TCP_PORTS, WORLD } from "./network-world.ts";
import { sampleCluster, sampleContext } from "./sample.ts";

const ref = { name: "mine", key: "url" };
export const FULL = {
  networkPolicy: {},
  logic: { serverApi: { grpc: true } },
  extlogic: { webhook: { url: "http://hooks.backend.svc:80/push" }, push: { fcm: { serviceAccountSecretRef: ref } } },
  chat: { hooks: { secretRef: ref } },
  tracing: { endpoint: "http://otel-collector.monitoring.svc:4318" },
};
export const EXTERNAL = {
  networkPolicy: {
    clientsFrom: [{ ipBlock: { cidr: "20.0.0.0/8" } }],
    metricsFrom: [],
    apiFrom: [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "backend" } } }],
    postgresTo: [{ ipBlock: { cidr: "10.50.0.0/16" }, ports: [6432] }],
    redisTo: [
      {
        namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "data" } },
        podSelector: { matchLabels: { app: "redis" } },
        ports: [6379, 26_379],
      },
    ],
    providersTo: [{ ipBlock: { cidr: "17.0.0.0/8" } }],
    dnsTo: [{ ipBlock: { cidr: "169.254.20.10/32" } }],
    alsoTo: [{ ipBlock: { cidr: "192.168.1.0/24" }, ports: [8080] }],
  },
  logic: { serverApi: {} },
  postgres: { urlSecretRef: ref },
  redis: { urlSecretRef: ref },
  extlogic: { webhook: { url: "https://push.example.com" } },
};

export const each = (from: Name | readonly Name[], ...to: string[]) =>
  [from].flat().flatMap((one) => to.map((other) => `${one} > ${other}`));
const ports = (to: Name, numbers: readonly number[] = TCP_PORTS) => numbers.map((port) => `${to}:${port}`);

/** Those whom no policy of the fleet holds back. */
const OTHERS = EVERYBODY.filter((name) => !FLEET.includes(name));
const PODS = OTHERS.filter((name) => "namespace" in WORLD[name]);
const NODE_DNS = ["node's dns:53", "node's dns:53/udp"];
/** Link-local addresses are asked for names, and for nothing else. */
const DNS = ["dns:53", "dns:53/udp", ...NODE_DNS, "metadata:53", "metadata:53/udp"];
const INTERNET = ["client:443", "provider:443", "provider on IPv6:443"];

const EXPECTED_FULL = [
  ...each(OTHERS, "entry:8443", "entry:8080"),
  ...each("operator", "entry:9443", "logic:7443"),
  ...each("prometheus", "entry:9090", "logic:9090", "extlogic:9090"),
  ...each(PODS, "logic:8090", "logic:8091"),
  ...each("entry", "logic:7443", ...DNS),
  ...each("logic", "postgres:5432", "redis:6379", ...DNS, ...INTERNET),
  ...each("extlogic", "postgres:5432", "redis:6379", ...DNS, ...INTERNET, ...ports("backend")),
  ...each("migrate", "postgres:5432", ...DNS),
  ...each(["entry", "logic", "extlogic"], ...ports("prometheus"), ...ports("prometheus' neighbour")),
];

const OUTSIDE = ["own database:6432", "own redis:6379", "own redis:26379", ...NODE_DNS, "address inside:8080"];
const EXPECTED_EXTERNAL = [
  ...each("client", "entry:8443", "entry:8080"),
  ...each("operator", "entry:9443", "logic:7443"),
  ...each("backend", "logic:8090"),
  ...each("entry", "logic:7443", ...NODE_DNS, "address inside:8080"),
  ...each("logic", ...OUTSIDE),
  ...each("extlogic", ...OUTSIDE, "provider:443"),
  ...each("migrate", "own database:6432", ...NODE_DNS),
];

/** The policies of a fleet of this spec. */
export const policiesOf = (spec: object, isExternal = false): NetworkPolicy[] =>
  networkPolicies(sampleContext(sampleCluster(spec), new Map(), { kind: isExternal ? "external" : "pod" }));

export interface Row {
  what: string;
  policies: NetworkPolicy[];
  /** Who reaches whom, sorted. */
  expected: string[];
}

export const NETWORK_TABLE: readonly Row[] = [
  { what: "an embedded fleet with everything on", policies: policiesOf(FULL), expected: EXPECTED_FULL.sort() },
  {
    what: "a fleet with stores outside and everything named",
    policies: policiesOf(EXTERNAL, true),
    expected: EXPECTED_EXTERNAL.sort(),
  },
];
