// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { NetworkPolicy } from "../../kube/types.ts";
import { type Flow, letsThrough, type Place, selects } from "./network-judge.ts";

const a: Place = { ip: "10.0.0.1", namespace: "x", labels: { app: "a" } };
const b: Place = { ip: "10.0.0.2", namespace: "x", labels: { app: "b" } };
const far: Place = { ip: "10.0.1.1", namespace: "y", labels: { app: "b" } };
const outside: Place = { ip: "20.0.0.1" };
const policy = (spec: NetworkPolicy["spec"], namespace = "x"): NetworkPolicy => ({
  metadata: { name: "p", namespace },
  spec,
});
const onA = { podSelector: { matchLabels: { app: "a" } } };
const flow = (from: Place, to: Place, port = 80, protocol: Flow["protocol"] = "TCP"): Flow => ({
  ...{ from, to, port, protocol },
});

describe("NetworkPolicies", () => {
  it("are about the pods that they select in their own namespace, and nobody else", () => {
    const deny = policy({ ...onA, policyTypes: ["Ingress", "Egress"] });
    assert.equal(letsThrough([], flow(b, a)), true);
    assert.equal(letsThrough([deny], flow(b, a)), false);
    assert.equal(letsThrough([deny], flow(a, b)), false);
    assert.equal(letsThrough([deny], flow(b, far)), true);
    assert.equal(letsThrough([policy({ ...onA, policyTypes: ["Ingress"] }, "y")], flow(b, a)), true);
  });

  it("are of their types; without a word of ingress, and of egress where they have such rules", () => {
    assert.equal(letsThrough([policy({ ...onA, policyTypes: ["Egress"] })], flow(b, a)), true);
    assert.equal(letsThrough([policy(onA)], flow(b, a)), false);
    assert.equal(letsThrough([policy(onA)], flow(a, b)), true);
    assert.equal(letsThrough([policy({ ...onA, egress: [] })], flow(a, b)), false);
  });

  it("add up", () => {
    const [deny, allow] = [policy({ podSelector: {}, policyTypes: ["Ingress"] }), policy({ ...onA, ingress: [{}] })];
    assert.equal(letsThrough([deny], flow(b, a)), false);
    assert.equal(letsThrough([deny, allow], flow(b, a)), true);
    assert.equal(letsThrough([deny, allow], flow(a, b)), false);
  });

  it("let through what both ends allow", () => {
    const ends = [policy({ ...onA, egress: [{}] }), policy({ podSelector: { matchLabels: { app: "b" } } })];
    assert.equal(letsThrough(ends, flow(a, b)), false);
    assert.equal(letsThrough(ends, flow(a, far)), true);
  });

  it("know pods by labels, namespaces by name, and others by address", () => {
    const from = (...peers: NonNullable<NonNullable<NetworkPolicy["spec"]["ingress"]>[number]["from"]>) =>
      [b, far, outside].map((place) => letsThrough([policy({ ...onA, ingress: [{ from: peers }] })], flow(place, a)));
    const y = { matchLabels: { "kubernetes.io/metadata.name": "y" } };
    const podB = { matchLabels: { app: "b" } };
    assert.deepEqual(from(), [true, true, true], "an empty list is everyone");
    assert.deepEqual(from({ podSelector: podB }), [true, false, false]);
    assert.deepEqual(from({ podSelector: {}, namespaceSelector: y }), [false, true, false]);
    assert.deepEqual(from({ namespaceSelector: {}, podSelector: podB }), [true, true, false]);
    assert.deepEqual(from({ namespaceSelector: y, podSelector: { matchLabels: { app: "c" } } }), [false, false, false]);
    assert.deepEqual(from({ ipBlock: { cidr: "20.0.0.0/8" } }), [false, false, true]);
    assert.deepEqual(from({ ipBlock: { cidr: "0.0.0.0/0", except: ["10.0.0.0/24"] } }), [false, true, true]);
    assert.deepEqual(from({ ipBlock: { cidr: "::/0" } }), [false, false, false]);
    assert.deepEqual(from({ podSelector: podB }, { ipBlock: { cidr: "20.0.0.1/32" } }), [true, false, true]);
  });

  it("know ports and protocols", () => {
    const at = (port: number, protocol: Flow["protocol"], ...ports: { protocol?: "TCP" | "UDP"; port?: number }[]) =>
      letsThrough([policy({ ...onA, ingress: [{ ports }] })], flow(b, a, port, protocol));
    assert.equal(at(80, "TCP"), true);
    assert.equal(at(80, "UDP"), true);
    assert.equal(at(80, "TCP", { port: 80 }), true);
    assert.equal(at(80, "UDP", { port: 80 }), false);
    assert.equal(at(81, "TCP", { port: 80 }), false);
    assert.equal(at(81, "TCP", { protocol: "TCP" }), true);
    assert.equal(at(53, "UDP", { protocol: "UDP", port: 53 }), true);
  });

  it("select by expressions, too", () => {
    const by = (operator: string, values?: string[]) => [
      selects({ matchExpressions: [{ key: "app", operator, values }] }, { app: "a" }),
      selects({ matchExpressions: [{ key: "app", operator, values }] }, {}),
    ];
    assert.deepEqual(by("In", ["a"]), [true, false]);
    assert.deepEqual(by("NotIn", ["a"]), [false, true]);
    assert.deepEqual(by("Exists"), [true, false]);
    assert.deepEqual(by("DoesNotExist"), [false, true]);
    assert.throws(() => by("Like"), /no operator Like/);
  });
});
