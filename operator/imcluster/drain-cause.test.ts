// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Node, Pod } from "../kube/types.ts";
import { DEFAULT_DRAIN_TAINTS, drainCause, isExternal, isNodeLeaving, whatCountsOfNode } from "./drain-cause.ts";

const node = (spec: Node["spec"], metadata: object = {}): Node => ({
  metadata: { name: "n", ...metadata },
  spec: spec ?? {},
});
const tainted = (key: string): Node => node({ taints: [{ key, effect: "NoSchedule" }] });

describe("a node", () => {
  it("is leaving when it is cordoned, deleted, or carries a taint of those that empty nodes", () => {
    const leaving = [
      node({ unschedulable: true }),
      node({}, { deletionTimestamp: "2026-01-01T00:00:00Z" }),
      ...DEFAULT_DRAIN_TAINTS.map(tainted),
    ];
    for (const one of [...leaving, ...leaving.map(whatCountsOfNode)])
      assert.equal(isNodeLeaving(one, DEFAULT_DRAIN_TAINTS), true, JSON.stringify(one));
  });

  it("is remembered without what nobody looks at", () => {
    const taints = [{ key: "k", effect: "NoSchedule" }];
    const whole = {
      metadata: { name: "n", uid: "u", resourceVersion: "7", labels: { zone: "a" }, annotations: { a: "b" } },
      spec: { taints, podCIDR: "10.1.0.0/24", unschedulable: false },
      status: { images: [{ names: ["large"] }] },
    } as Node;
    assert.deepEqual(whatCountsOfNode(whole), {
      metadata: { name: "n", uid: "u", resourceVersion: "7" },
      spec: { taints },
    });
    assert.deepEqual(whatCountsOfNode({ metadata: { name: "n" } }), { metadata: { name: "n" }, spec: {} });
  });

  it("is not when it is merely busy, new or lost", () => {
    const staying = [
      node({}),
      { metadata: { name: "n" } },
      ...["node.kubernetes.io/memory-pressure", "node.kubernetes.io/not-ready", "example.com/gpu"].map(tainted),
    ];
    for (const one of [...staying, ...staying.map(whatCountsOfNode)])
      assert.equal(isNodeLeaving(one, DEFAULT_DRAIN_TAINTS), false, JSON.stringify(one));
  });

  it("that is only cordoned counts only when its taint is among those asked for", () => {
    assert.equal(isNodeLeaving(node({ unschedulable: true }), ["example.com/leaving"]), false);
    assert.equal(isNodeLeaving(tainted("example.com/leaving"), ["example.com/leaving"]), true);
  });
});

describe("the cause of a drain", () => {
  const pod = (request?: string): Pod => ({
    metadata: { name: "p", annotations: request === undefined ? {} : { "imcluster.io/drain-request": request } },
    spec: { containers: [] },
  });
  const cases: [string | undefined, boolean, string | undefined][] = [
    [undefined, false, undefined],
    [undefined, true, "NodeDrain"],
    ["", false, undefined],
    ["Manual", false, "Manual"],
    ["please", true, "Manual"],
    ["Evicted", true, "Evicted"],
    ["Fence", false, "Fenced"],
    ["ScaleDown", false, "Manual"],
  ];
  for (const [request, isNodeGoing, expected] of cases) {
    it(`is ${expected ?? "none"} for request ${JSON.stringify(request)}${isNodeGoing ? " on a node that goes" : ""}`, () => {
      assert.equal(drainCause(pod(request), isNodeGoing), expected);
    });
  }

  it("is what can be called off by taking it away", () => {
    assert.deepEqual(
      (["NodeDrain", "Evicted", "Manual", "Fenced", "ScaleDown", "Update", "PodDeleted", "Failed"] as const).map(
        isExternal,
      ),
      [true, true, true, true, false, false, false, false],
    );
  });
});
