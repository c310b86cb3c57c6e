// SPDX-License-Identifier: Apache-2.0
// Everybody who could want something of a fleet, and at which ports; and every way to weaken a policy a little.
import type { NetworkPolicy } from "../../kube/types.ts";
import { type Component, labelsOf as fleetLabels } from "../names.ts";
import { mayEnter, mayLeave, type Place } from "./network-judge.ts";

const PROMETHEUS = { "app.kubernetes.io/name": "prometheus" };
const OPERATOR = { "app.kubernetes.io/name": "im-operator", "app.kubernetes.io/component": "operator" };

const pod = (ip: string, namespace: string, labels: Record<string, string>): Place => ({ ip, namespace, labels });
const ours = (ip: string, component: Component): Place => pod(ip, "shop", fleetLabels("demo", component));

/** The fleet "demo" in namespace shop. */
const FLEET_PLACES = {
  entry: ours("10.0.0.1", "entry"),
  logic: ours("10.0.0.2", "logic"),
  extlogic: ours("10.0.0.3", "extlogic"),
  migrate: ours("10.0.0.4", "migrate"),
  postgres: ours("10.0.0.5", "postgres"),
  redis: ours("10.0.0.6", "redis"),
} as const;

/** The fleet, its neighbours and the world. */
export const WORLD = {
  ...FLEET_PLACES,
  client: { ip: "20.1.2.3" },
  operator: pod("10.0.1.1", "imcluster-system", OPERATOR),
  "operator's neighbour": pod("10.0.1.2", "imcluster-system", {}),
  "operator's test": pod("10.0.1.3", "imcluster-system", { ...OPERATOR, "app.kubernetes.io/component": "test" }),
  "another operator": pod("10.0.1.4", "imcluster-system", { ...OPERATOR, "app.kubernetes.io/name": "other" }),
  "operator's impostor": pod("10.0.0.7", "shop", OPERATOR),
  prometheus: pod("10.0.2.1", "monitoring", PROMETHEUS),
  "prometheus' neighbour": pod("10.0.2.2", "monitoring", {}),
  backend: pod("10.0.3.1", "backend", { app: "backend" }),
  "somebody's entry": pod("10.0.3.2", "elsewhere", { "app.kubernetes.io/component": "entry" }),
  "somebody's logic": pod("10.0.3.3", "elsewhere", { "app.kubernetes.io/component": "logic" }),
  stranger: pod("10.0.0.8", "shop", { app: "other" }),
  "other fleet's entry": pod("10.0.0.9", "shop", fleetLabels("other", "entry")),
  "other fleet's logic": pod("10.0.0.10", "shop", fleetLabels("other", "logic")),
  "other fleet's extlogic": pod("10.0.0.11", "shop", fleetLabels("other", "extlogic")),
  "other fleet's migration": pod("10.0.0.12", "shop", fleetLabels("other", "migrate")),
  "other fleet's database": pod("10.0.0.13", "shop", fleetLabels("other", "postgres")),
  "other fleet's redis": pod("10.0.0.14", "shop", fleetLabels("other", "redis")),
  "namesake's logic": pod("10.0.4.1", "other-shop", fleetLabels("demo", "logic")),
  dns: pod("10.0.5.1", "kube-system", { "k8s-app": "kube-dns" }),
  "node's dns": { ip: "169.254.20.10" },
  metadata: { ip: "169.254.169.254" },
  provider: { ip: "17.1.2.3" },
  "provider on IPv6": { ip: "2620:149::1" },
  "tunnel on IPv6": { ip: "2002:a00:1::1" },
  "address inside": { ip: "192.168.1.1" },
  "API server": { ip: "172.18.0.2" },
  "own database": { ip: "10.50.0.7" },
  "own redis": pod("10.0.6.1", "data", { app: "redis" }),
  "own redis' neighbour": pod("10.0.6.2", "data", { app: "kafka" }),
  "own redis' namesake": pod("10.0.7.1", "other-data", { app: "redis" }),
} as const satisfies Record<string, Place>;

export type Name = keyof typeof WORLD;
export const EVERYBODY = Object.keys(WORLD) as Name[];
export const FLEET = Object.keys(FLEET_PLACES) as Name[];

/** Ports that anybody answers at, and one of which no policy speaks. */
export const TCP_PORTS = [22, 53, 80, 443, 5432, 6379, 6432, 6443, 7443, 8080, 8090, 8091, 8443, 9090, 9443, 26_379];
const FLOWS = [
  ...TCP_PORTS.map((port) => ({ port, protocol: "TCP" as const })),
  { port: 53, protocol: "UDP" as const },
];

export interface Reach {
  /** What gets through, as `entry > logic:7443`. */
  allowed: string[];
  /** How many pairs at how many ports were asked about. */
  cells: number;
  /** What each end lets through by itself: two ends that are both too wide are seen although the other one still holds. */
  ends: string;
}

/** Who reaches whom, of all pairs in which one end is of `names`. */
export function reachOf(policies: readonly NetworkPolicy[], names: readonly Name[]): Reach {
  const allowed: string[] = [];
  let ends = "";
  const pairs = EVERYBODY.flatMap((from) => EVERYBODY.map((to) => [from, to] as const)).filter(
    ([from, to]) => from !== to && (names.includes(from) || names.includes(to)),
  );
  for (const [from, to] of pairs) {
    for (const { port, protocol } of FLOWS) {
      const flow = { from: WORLD[from], to: WORLD[to], port, protocol };
      const [isOut, isIn] = [mayLeave(policies, flow), mayEnter(policies, flow)];
      ends += `${Number(isOut)}${Number(isIn)}`;
      if (isOut && isIn) allowed.push(`${from} > ${to}:${port}${protocol === "UDP" ? "/udp" : ""}`);
    }
  }
  return { allowed: allowed.sort(), cells: pairs.length * FLOWS.length, ends };
}

export interface Weakened {
  what: string;
  policies: NetworkPolicy[];
}

type Fields = Record<string, unknown>;
type Change<T> = readonly [what: string, change: (of: T) => void];
type Spec = NetworkPolicy["spec"];

/** Each policy taken away, and each of its rules, peers, labels, exceptions and ports taken out: one change at a time. */
export function weakened(policies: readonly NetworkPolicy[]): Weakened[] {
  return policies.flatMap((policy, index) => {
    const others = policies.filter((_, at) => at !== index);
    const { name } = policy.metadata;
    const changes = [...typeChanges(policy.spec), ...ruleChanges(policy.spec)];
    return [
      { what: `${name} is missing`, policies: others },
      ...changes.map(([what, change]) => {
        const changed = structuredClone(policy);
        change(changed.spec);
        return { what: `${name}: ${what}`, policies: [...others, changed] };
      }),
    ];
  });
}

/** A policy without any type would have the default one: then it is about nobody instead. */
function typeChanges({ policyTypes: types = [] }: Spec): Change<Spec>[] {
  return types.map((type) => [
    `not about ${type}`,
    (spec) => {
      spec.policyTypes = types.filter((one) => one !== type);
      if (types.length === 1) spec.podSelector = { matchLabels: { nobody: "nobody" } };
    },
  ]);
}

function ruleChanges(spec: Spec): Change<Spec>[] {
  return (["ingress", "egress"] as const).flatMap((side) =>
    ((spec[side] ?? []) as Fields[]).flatMap((rule, at): Change<Spec>[] => {
      const where = `${side} ${at}`;
      const rulesOf = (changed: Spec) => changed[side] as Fields[];
      const inRule = Object.keys(rule).flatMap((list) => listChanges(rule, list));
      return [
        [`${where} is missing`, (changed) => void rulesOf(changed).splice(at, 1)],
        ...inRule.map(
          ([what, change]): Change<Spec> => [`${where}${what}`, (changed) => change(rulesOf(changed)[at] as Fields)],
        ),
      ];
    }),
  );
}

/** Of the peers or the ports of a rule. The last one taken out would mean all of them, which is a change of its own. */
function listChanges(rule: Fields, list: string): Change<Fields>[] {
  const items = rule[list] as Fields[];
  const itemsOf = (changed: Fields) => changed[list] as Fields[];
  const inItems = items.flatMap((item, at) => {
    const missing: Change<Fields> = [`, ${list} ${at} is missing`, (changed) => void itemsOf(changed).splice(at, 1)];
    const inItem = peerChanges(item).map(
      ([what, change]): Change<Fields> => [
        `, ${list} ${at} ${what}`,
        (changed) => change(itemsOf(changed)[at] as Fields),
      ],
    );
    return items.length > 1 ? [missing, ...inItem] : inItem;
  });
  return [[` is about all ${list}`, (changed) => void delete changed[list]], ...inItems];
}

/** Every label and all exceptions of one peer. A port has none. */
function peerChanges(peer: Fields): Change<Fields>[] {
  const inside = (changed: Fields, ...path: string[]) => path.reduce((at, key) => at[key] as Fields, changed);
  const labels = ["podSelector", "namespaceSelector"].flatMap((selector) =>
    Object.keys((peer[selector] as { matchLabels?: object } | undefined)?.matchLabels ?? {}).map(
      (label): Change<Fields> => [
        `${selector} without ${label}`,
        (changed) => void delete inside(changed, selector, "matchLabels")[label],
      ],
    ),
  );
  const { except } = (peer.ipBlock ?? {}) as { except?: unknown };
  if (!except) return labels;
  return [...labels, ["without exceptions", (changed) => void delete inside(changed, "ipBlock").except]];
}
