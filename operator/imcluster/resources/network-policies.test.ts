// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SPECIAL_V4, SPECIAL_V6 } from "#lib/special-addresses.ts";
import type { NetworkPolicy } from "../../kube/types.ts";
import { letsThrough, type Place } from "../testing/network-judge.ts";
import { EXTERNAL, each, FULL, NETWORK_TABLE, policiesOf } from "../testing/network-table.ts";
import { FLEET, reachOf, WORLD, weakened } from "../testing/network-world.ts";
import { sampleContext } from "../testing/sample.ts";
import { networkPolicyNames } from "./network-policies.ts";

const ref = { name: "mine", key: "url" };

describe("who reaches whom", () => {
  for (const { what, policies, expected } of NETWORK_TABLE) {
    const { allowed, cells, ends } = reachOf(policies, FLEET);

    it(`is exactly what is needed: ${what}`, (t) => {
      t.diagnostic(`${cells} pairs at ports, ${allowed.length} allowed`);
      assert.ok(cells > 5_000, `${cells}`);
      assert.deepEqual(allowed, expected);
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

  it("are none unless the spec asks for them", () => assert.deepEqual(policiesOf({}), []));

  it("are one that denies and one for each component that it has", () => {
    const all = networkPolicyNames(sampleContext());
    assert.deepEqual(names(policiesOf(FULL)).sort(), [...all].sort());
    const external = all.filter((name) => !/postgres|redis/.test(name));
    assert.deepEqual(names(policiesOf(EXTERNAL, true)).sort(), external.sort());
  });

  it("let nobody out where the spec names nobody outside", () => {
    const policies = policiesOf({ networkPolicy: { providersTo: [{ ipBlock: { cidr: "0.0.0.0/0" } }] } });
    const { allowed } = reachOf(policies, FLEET);
    assert.deepEqual(
      allowed.filter((one) => /> (provider|backend|client|address)/.test(one)),
      [],
    );
  });

  it("let nobody in where a list is empty", () => {
    const policies = policiesOf({
      networkPolicy: { clientsFrom: [], metricsFrom: [], apiFrom: [] },
      logic: { serverApi: {} },
    });
    const { allowed } = reachOf(policies, ["entry", "logic"]);
    const inwards = allowed.filter((one) => /> (entry|logic):/.test(one));
    assert.deepEqual(inwards, [...each("entry", "logic:7443"), ...each("operator", "entry:9443", "logic:7443")].sort());
  });

  const EXTLOGIC = WORLD.extlogic;
  const out = (spec: object, to: Place, port: number) =>
    letsThrough(policiesOf({ networkPolicy: {}, ...spec }), { from: EXTLOGIC, to, port });

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

  it("know the collector of traces", () => {
    const sends = (endpoint: string, to: Place, port: number) =>
      letsThrough(policiesOf({ networkPolicy: {}, tracing: { endpoint } }), { from: WORLD.entry, to, port });
    assert.equal(sends("http://otel.backend.svc:4318", WORLD.backend, 4318), true);
    assert.equal(sends("https://traces.example.com", WORLD.provider, 443), true);
    const plain = [80, 443].map((port) => sends("http://traces.example.com/x", WORLD.provider, port));
    assert.deepEqual(plain, [true, false]);
  });

  it("know pressed buttons: there, logic calls outside, too", () => {
    const chat = { cards: { keysSecretRef: ref, actions: { url: "https://shop.example.com", secretRef: ref } } };
    const flow = { from: WORLD.logic, to: WORLD.provider, port: 443 };
    assert.equal(letsThrough(policiesOf({ networkPolicy: {}, chat }), flow), true);
    assert.equal(letsThrough(policiesOf({ networkPolicy: {} }), flow), false);
  });
});
