// SPDX-License-Identifier: Apache-2.0
// The operator's NetworkPolicy beside those of a fleet: who reaches whom.
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { networkPolicies } from "../operator/imcluster/resources/network-policies.ts";
import { letsThrough } from "../operator/imcluster/testing/network-judge.ts";
import { reachOf, WORLD, weakened } from "../operator/imcluster/testing/network-world.ts";
import { OPERANDS, sampleCluster, sampleContext } from "../operator/imcluster/testing/sample.ts";
import type { NetworkPolicy } from "../operator/kube/types.ts";
import { byKind, render } from "./testing/helm.ts";

const FLEET = networkPolicies(sampleContext(sampleCluster({ networkPolicy: {} })));
const OUTWARDS = /^(operator > )/;

/** The chart's policy as it is in namespace imcluster-system, with the release's instance label put on the operator of the world. */
async function rendered(...set: string[]): Promise<NetworkPolicy[]> {
  const args = set.flatMap((one) => ["--set-json", one]);
  const policies = byKind(await render("im-operator", args), "NetworkPolicy") as unknown as NetworkPolicy[];
  for (const { metadata, spec } of policies) {
    metadata.namespace = OPERANDS.operatorNamespace;
    const { "app.kubernetes.io/instance": instance, ...rest } = spec.podSelector.matchLabels ?? {};
    assert.equal(instance, "test");
    spec.podSelector.matchLabels = rest;
  }
  return policies;
}

const ENABLED = "networkPolicy.enabled=true";
const KNOWN = 'networkPolicy.apiServerTo=[{"ipBlock":{"cidr":"172.18.0.0/24"}}]';
const CALLERS = 'networkPolicy.webhookFrom=[{"ipBlock":{"cidr":"172.18.0.0/24"}}]';

describe("the operator's NetworkPolicy", () => {
  let own: NetworkPolicy[];
  before(async () => {
    own = await rendered(ENABLED, KNOWN, CALLERS, "networkPolicy.apiServerPorts=[6443]");
  });

  it("is there when it is asked for", async () => {
    assert.equal((await rendered()).length, 0);
    assert.equal(own.length, 1);
  });

  it("lets the operator reach the API server, names and fleets, and be asked for metrics and by the API server", (t) => {
    const { allowed, cells } = reachOf([...FLEET, ...own], ["operator"]);
    t.diagnostic(`${cells} pairs at ports, ${allowed.length} allowed`);
    assert.deepEqual(
      allowed,
      [
        "API server > operator:8443",
        ...["dns", "metadata", "node's dns"].flatMap((to) => [`operator > ${to}:53`, `operator > ${to}:53/udp`]),
        "operator > API server:6443",
        "operator > entry:9443",
        "operator > logic:7443",
        ...["logic", "entry"].map((one) => `operator > other fleet's ${one}:${one === "logic" ? 7443 : 9443}`),
        "operator > namesake's logic:7443",
        "prometheus > operator:9090",
      ].sort(),
    );
  });

  it("is noticed when any part of it is missing or weaker", (t) => {
    const changes = weakened(own);
    t.diagnostic(`${changes.length} changes`);
    assert.ok(changes.length >= 25, `${changes.length}`);
    const { ends } = reachOf(own, ["operator"]);
    const unseen = changes.filter(({ policies }) => reachOf(policies, ["operator"]).ends === ends);
    assert.deepEqual(
      unseen.map(({ what }) => what),
      [],
    );
  });

  it("allows any address where nobody says where the API server is, at its ports only", async () => {
    const { allowed } = reachOf(await rendered(ENABLED), ["operator"]);
    const outwards = allowed.filter((one) => OUTWARDS.test(one) && one.includes("provider"));
    assert.deepEqual(
      outwards.sort(),
      ["provider", "provider on IPv6"].flatMap((to) => [`operator > ${to}:443`, `operator > ${to}:6443`]).sort(),
    );
    assert.ok(allowed.includes("API server > operator:8443"));
  });

  it("lets nobody call webhooks that it does not have, and read metrics that are nobody's", async () => {
    const off = ["evictionGuard.enabled=false", "updateWarnings.enabled=false", "networkPolicy.metricsFrom=[]"];
    const { allowed } = reachOf(await rendered(ENABLED, ...off), ["operator"]);
    assert.deepEqual(
      allowed.filter((one) => one.endsWith("operator:8443") || one.endsWith("operator:9090")),
      [],
    );
  });

  it("goes no further than the namespaces that are watched", async () => {
    const policies = await rendered(ENABLED, KNOWN, 'watchNamespaces=["shop","team-b"]');
    const reaches = (to: keyof typeof WORLD) =>
      letsThrough(policies, { from: WORLD.operator, to: WORLD[to], port: 7443 });
    assert.deepEqual([reaches("logic"), reaches("namesake's logic")], [true, false]);
  });
});
