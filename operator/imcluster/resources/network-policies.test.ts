// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SPECIAL_V4, SPECIAL_V6 } from "#lib/special-addresses.ts";
import type { NetworkPolicy } from "../../kube/types.ts";
import { letsThrough, type Place } from "../testing/network-judge.ts";
import { EVERYBODY, FLEET, type Name, reachOf, TCP_PORTS, WORLD, weakened } from "../testing/network-world.ts";
import { sampleCluster, sampleContext } from "../testing/sample.ts";
import { networkPolicies, networkPolicyNames } from "./network-policies.ts";

const ref = { name: "mine", key: "url" };
const made = (spec: object, isExternal = false): NetworkPolicy[] =>
  networkPolicies(sampleContext(sampleCluster(spec), new Map(), { kind: isExternal ? "external" : "pod" }));

const FULL = {
  networkPolicy: {},
  logic: { serverApi: { grpc: true } },
  extlogic: { webhook: { url: "http://hooks.backend.svc:80/push" }, push: { fcm: { serviceAccountSecretRef: ref } } },
  chat: { hooks: { secretRef: ref } },
};
const EXTERNAL = {
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

const each = (from: Name | readonly Name[], ...to: string[]) =>
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

describe("who reaches whom", () => {
  for (const [what, policies, expected] of [
    ["an embedded fleet with everything on", made(FULL), EXPECTED_FULL],
    ["a fleet with stores outside and everything named", made(EXTERNAL, true), EXPECTED_EXTERNAL],
  ] as const) {
    const { allowed, cells, ends } = reachOf(policies, FLEET);

    it(`is exactly what is needed: ${what}`, (t) => {
      t.diagnostic(`${cells} pairs at ports, ${allowed.length} allowed`);
      assert.ok(cells > 5_000, `${cells}`);
      assert.deepEqual(allowed, [...expected].sort());
    });

    it(`notices every policy that is missing, and every part of one that is weaker: ${what}`, (t) => {
      const changes = weakened(policies);
      t.diagnostic(`${changes.length} changes`);
      assert.ok(changes.length > 80, `${changes.length}`);
      const unseen = changes.filter((change) => reachOf(change.policies, FLEET).ends === ends);
      assert.deepEqual(
        unseen.map((change) => change.what),
        [],
      );
    });
  }
});

describe("the policies of a cluster", () => {
  const names = (policies: NetworkPolicy[]) => policies.map(({ metadata }) => metadata.name);

  it("are none unless the spec asks for them", () => assert.deepEqual(made({}), []));

  it("are one that denies and one for each component that it has", () => {
    const all = networkPolicyNames(sampleContext());
    assert.deepEqual(names(made(FULL)).sort(), [...all].sort());
    const external = all.filter((name) => !/postgres|redis/.test(name));
    assert.deepEqual(names(made(EXTERNAL, true)).sort(), external.sort());
  });

  it("let nobody out where the spec names nobody outside", () => {
    const policies = made({ networkPolicy: { providersTo: [{ ipBlock: { cidr: "0.0.0.0/0" } }] } });
    const { allowed } = reachOf(policies, FLEET);
    assert.deepEqual(
      allowed.filter((one) => /> (provider|backend|client|address)/.test(one)),
      [],
    );
  });

  it("let nobody in where a list is empty", () => {
    const policies = made({
      networkPolicy: { clientsFrom: [], metricsFrom: [], apiFrom: [] },
      logic: { serverApi: {} },
    });
    const { allowed } = reachOf(policies, ["entry", "logic"]);
    const inwards = allowed.filter((one) => /> (entry|logic):/.test(one));
    assert.deepEqual(inwards, [...each("entry", "logic:7443"), ...each("operator", "entry:9443", "logic:7443")].sort());
  });

  const EXTLOGIC = WORLD.extlogic;
  const out = (spec: object, to: Place, port: number) =>
    letsThrough(made({ networkPolicy: {}, ...spec }), { from: EXTLOGIC, to, port });

  it("keep webhooks that are led astray off every private address", () => {
    const first = ([net]: readonly [string, number]) => net.replace(/0$/, "1").replace(/::$/, "::1");
    const addresses = [...SPECIAL_V4, ...SPECIAL_V6].map((range) => first(range));
    assert.equal(addresses.length, 18);
    const reached = [...addresses, "fc00::1", "fe80::1", "::1"].filter((ip) => out(FULL, { ip }, 443));
    assert.deepEqual(reached, []);
    assert.ok(out(FULL, { ip: "8.8.8.8" }, 443) && out(FULL, { ip: "2a00:1450::1" }, 443));
  });

  it("take ports and namespaces from the addresses in the spec", () => {
    const [provider, backend] = [WORLD.provider, WORLD.backend];
    const webhook = (url: string) => ({ extlogic: { webhook: { url } } });
    assert.equal(out(webhook("https://shop.example.com:8443/x"), provider, 8443), true);
    assert.equal(out(webhook("https://shop.example.com:8443/x"), provider, 443), false);
    for (const host of ["hooks.backend.svc", "hooks.backend.svc.cluster.local:8080"])
      assert.deepEqual(
        [out(webhook(`http://${host}/x`), backend, 8080), out(webhook(`http://${host}/x`), provider, 443)],
        [true, false],
        host,
      );
    const browsers = {
      extlogic: {
        push: { webPush: { keySecretRef: ref, subject: "mailto:a@b.c", services: ["https://*.push.example:9443"] } },
      },
    };
    assert.deepEqual([out(browsers, provider, 9443), out(browsers, provider, 443)], [true, false]);
    const inside = { ...webhook("https://a.example.com"), chat: { webhookAllowedNetworks: ["192.168.0.0/16"] } };
    assert.equal(out(inside, WORLD["address inside"], 8080), true);
  });

  it("know pressed buttons: there, logic calls outside, too", () => {
    const chat = { cards: { keysSecretRef: ref, actions: { url: "https://shop.example.com", secretRef: ref } } };
    const flow = { from: WORLD.logic, to: WORLD.provider, port: 443 };
    assert.equal(letsThrough(made({ networkPolicy: {}, chat }), flow), true);
    assert.equal(letsThrough(made({ networkPolicy: {} }), flow), false);
  });
});
