// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  addressRange,
  type EndpointSlice,
  isOurs,
  keyOf,
  type Placement,
  planPlacements,
  type Service,
  type TargetNode,
} from "./plan.ts";

interface ServiceOptions {
  policy?: "Cluster" | "Local";
  ip?: string;
  wish?: string;
  type?: string;
  loadBalancerClass?: string;
}

function service(name: string, o: ServiceOptions = {}): Service {
  return {
    metadata: { name, namespace: "shop", uid: name },
    spec: {
      type: o.type ?? "LoadBalancer",
      externalTrafficPolicy: o.policy ?? "Cluster",
      ...(o.wish ? { loadBalancerIP: o.wish } : {}),
      ...(o.loadBalancerClass ? { loadBalancerClass: o.loadBalancerClass } : {}),
    },
    ...(o.ip ? { status: { loadBalancer: { ingress: [{ ip: o.ip }] } } } : {}),
  };
}

function slice(name: string, readyOn: readonly string[], notReadyOn: readonly string[] = []): EndpointSlice {
  return {
    metadata: { name: `${name}-x`, namespace: "shop", labels: { "kubernetes.io/service-name": name } },
    endpoints: [
      ...readyOn.map((nodeName) => ({ nodeName, conditions: { ready: true } })),
      ...notReadyOn.map((nodeName) => ({ nodeName, conditions: { ready: false } })),
    ],
  };
}

function nodes(o: { dead?: string; held?: Record<string, string[]> } = {}): TargetNode[] {
  return ["node1", "node2"].map((name) => ({ name, isHealthy: name !== o.dead, addresses: o.held?.[name] ?? [] }));
}

const A = "10.89.0.200";

describe("planPlacements", () => {
  it("gives the lowest address, on a node with a ready pod", () => {
    const placements = planPlacements([service("a")], [slice("a", ["node2"])], nodes());
    assert.deepEqual(placements, [{ service: "shop/a", address: A, node: "node2" }]);
  });

  it("gives an address although nothing is ready yet", () => {
    assert.equal(planPlacements([service("a")], [], nodes())[0]?.address, A);
  });

  it("keeps the address that a Service has, honours a wish, and gives none twice", () => {
    const services = [
      service("a", { wish: "10.89.0.210" }),
      service("b", { ip: A }),
      service("c", { ip: A }),
      service("d", { wish: "8.8.8.8" }),
    ];
    const byService = new Map(planPlacements(services, [], nodes()).map((p) => [p.service, p.address]));
    assert.deepEqual(Object.fromEntries(byService), {
      "shop/a": "10.89.0.210",
      "shop/b": A,
      "shop/c": "10.89.0.201",
      "shop/d": "10.89.0.202",
    });
  });

  it("spreads Services over the nodes", () => {
    const slices = ["a", "b"].map((name) => slice(name, ["node1", "node2"]));
    const placed = planPlacements([service("a"), service("b")], slices, nodes()).map((p) => p.node);
    assert.deepEqual(placed, ["node1", "node2"]);
  });

  it("with policy Local follows the ready pods", () => {
    const held = { held: { node1: [A] } };
    const local = [service("a", { policy: "Local", ip: A })];
    assert.equal(planPlacements(local, [slice("a", ["node2"], ["node1"])], nodes(held))[0]?.node, "node2");
    assert.equal(
      planPlacements(local, [slice("a", ["node1", "node2"])], nodes(held))[0]?.node,
      "node1",
      "no move without need",
    );
    assert.equal(
      planPlacements(local, [slice("a", [], ["node1"])], nodes(held))[0]?.node,
      "node1",
      "no move to nowhere",
    );
  });

  it("with policy Cluster moves only away from a dead node", () => {
    const held = { node1: [A] };
    const cluster = [service("a", { ip: A })];
    assert.equal(planPlacements(cluster, [slice("a", ["node2"])], nodes({ held }))[0]?.node, "node1");
    assert.equal(planPlacements(cluster, [slice("a", ["node1"])], nodes({ held, dead: "node1" }))[0]?.node, "node2");
  });

  it("stays where it is when every node is dead", () => {
    const dead = nodes({ held: { node1: [A] } }).map((node) => ({ ...node, isHealthy: false }));
    assert.equal(planPlacements([service("a", { ip: A })], [], dead)[0]?.node, "node1");
  });

  it("gives nothing once all 51 addresses are taken", () => {
    const services = Array.from({ length: 53 }, (_, i) => service(`s${String(i).padStart(2, "0")}`));
    const placements = planPlacements(services, [], nodes());
    assert.equal(placements.length, addressRange().length);
    assert.equal(new Set(placements.map((p) => p.address)).size, 51);
  });

  it("leaves Services of other types and classes alone", () => {
    assert.ok(!isOurs(service("a", { type: "ClusterIP" })));
    assert.ok(!isOurs(service("a", { loadBalancerClass: "example.com/cloud" })));
    assert.ok(isOurs(service("a", { loadBalancerClass: "imcluster.io/local" })));
    const deleted = service("a");
    deleted.metadata.deletionTimestamp = "2026-01-01T00:00:00Z";
    assert.ok(!isOurs(deleted));
  });

  it("is settled by its own result, and never gives an address twice", () => {
    const names = fc.uniqueArray(fc.integer({ min: 0, max: 60 }), { maxLength: 60 });
    const someNodes = fc.subarray(["node1", "node2"]);
    const anyService = fc.record({
      policy: fc.constantFrom("Cluster" as const, "Local" as const),
      last: fc.integer({ min: 190, max: 255 }),
      ready: someNodes,
    });
    fc.assert(
      fc.property(names, fc.array(anyService, { minLength: 61, maxLength: 61 }), someNodes, (ids, options, healthy) => {
        const services = ids.map((id) =>
          service(`s${id}`, { policy: options[id]?.policy ?? "Cluster", ip: `10.89.0.${options[id]?.last}` }),
        );
        const slices = ids.map((id) => slice(`s${id}`, options[id]?.ready ?? []));
        const start = nodes().map((node) => ({ ...node, isHealthy: healthy.includes(node.name) }));
        const first = planPlacements(services, slices, start);
        assert.equal(new Set(first.map((p) => p.address)).size, first.length);
        const settledServices = services.map((s) => ({
          ...s,
          status: { loadBalancer: { ingress: ingressOf(s, first) } },
        }));
        const settledNodes = start.map((node) => ({
          ...node,
          addresses: first.filter((p) => p.node === node.name).map((p) => p.address),
        }));
        assert.deepEqual(planPlacements(settledServices, slices, settledNodes), first);
      }),
      { numRuns: 60 },
    );
  });
});

function ingressOf(s: Service, placements: readonly Placement[]): { ip: string }[] {
  return placements.filter((p) => p.service === keyOf(s)).map((p) => ({ ip: p.address }));
}
