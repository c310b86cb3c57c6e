// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TCP_PORTS } from "../../operator/imcluster/testing/network-world.ts";
import type { NetworkPolicy } from "../../operator/kube/types.ts";
import { cellsOf, describeDiffering, differing, expectedOf, mixedUp, nameOf } from "./cells.ts";
import type { Spot } from "./spots.ts";

const spot = (name: string, ip: string, labels: Record<string, string>, isOurs: boolean): Spot => ({
  ...{ name, place: { ip, namespace: "shop", labels }, node: "node1", isOurs },
});
const ENTRY = spot("entry", "10.0.0.1", { app: "entry" }, true);
const STRANGER = spot("stranger", "10.0.0.2", { app: "other" }, false);
const NEIGHBOUR = spot("neighbour", "10.0.0.3", { app: "other" }, false);
const CLIENT: Spot = { name: "client", place: { ip: "20.1.2.3" }, isOurs: false };
const SPOTS = [ENTRY, STRANGER, NEIGHBOUR, CLIENT];

const POLICY: NetworkPolicy = {
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: { name: "entry", namespace: "shop" },
  spec: {
    podSelector: { matchLabels: { app: "entry" } },
    policyTypes: ["Ingress"],
    ingress: [{ ports: [{ protocol: "TCP", port: 8443 }] }],
  },
};

/** Two of a kind, whom everybody may ask, and who may ask the stranger's kind. */
const TWIN = spot("twin", "10.0.0.4", { app: "entry" }, true);
const BOTH: NetworkPolicy = {
  ...POLICY,
  spec: {
    ...POLICY.spec,
    policyTypes: ["Ingress", "Egress"],
    egress: [{ to: [{ podSelector: { matchLabels: { app: "other" } } }], ports: [{ protocol: "TCP", port: 443 }] }],
  },
};

describe("pairs at ports", () => {
  const cells = cellsOf(SPOTS);
  const names = cells.map(nameOf);

  it("are those of which one end is ours, at all ports, and nobody with itself", () => {
    const perPod = TCP_PORTS.length + 1;
    // Three come to the entry; it goes to two pods, and to the outside at four ports.
    assert.equal(cells.length, 3 * perPod + 2 * perPod + 4);
    assert.ok(names.includes("client > entry:8443") && names.includes("entry > stranger:53/udp"));
    assert.ok(!names.some((name) => /stranger > neighbour|entry > entry/.test(name)));
  });

  it("are all open without a policy", () => {
    assert.ok(expectedOf([], cells).every(Boolean));
  });

  it("are open with one as the evaluator says", () => {
    const expected = expectedOf([POLICY], cells);
    const open = names.filter((name, index) => expected[index] && name.includes("> entry:"));
    assert.deepEqual(open.sort(), ["client > entry:8443", "neighbour > entry:8443", "stranger > entry:8443"]);
  });

  it("differ both ways, and are told by name", () => {
    const expected = expectedOf([POLICY], cells);
    const seen = [...expected];
    const [isClosed, isOpen] = [names.indexOf("client > entry:8443"), names.indexOf("stranger > entry:22")];
    seen[isClosed] = false;
    seen[isOpen] = true;
    const wrong = differing(seen, expected);
    assert.deepEqual(new Set(wrong), new Set([isClosed, isOpen]));
    const told = describeDiffering(cells, expected, wrong);
    assert.match(told, /client > entry:8443 is closed/);
    assert.match(told, /stranger > entry:22 is open/);
    assert.match(describeDiffering(cells, expected, wrong, 1), /; 1 more$/);
    assert.deepEqual(differing(expected, expected), []);
  });

  it("of which one policy chooses both ends are opened by kube-router where either end is", () => {
    const twins = cellsOf([ENTRY, TWIN, STRANGER]);
    const named = (indexes: number[]) => indexes.flatMap((index) => twins[index] ?? []).map(nameOf);
    assert.deepEqual(named(mixedUp([BOTH], twins)), ["entry > twin:8443", "twin > entry:8443"]);
    assert.deepEqual(mixedUp([POLICY], twins), [], "of one direction only");
    const other = { ...BOTH, metadata: { name: "entry", namespace: "elsewhere" } };
    assert.deepEqual(mixedUp([other], twins), []);
  });

  it("that were not looked at are not right by that", () => {
    assert.deepEqual(differing([], [true, true]), [0, 1]);
  });
});
