// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { labelsOf } from "../../operator/imcluster/names.ts";
import { EVERYBODY, FLEET, WORLD } from "../../operator/imcluster/testing/network-world.ts";
import type { KubeObject, Pod } from "../../operator/kube/types.ts";
import { DEMO_NAMESPACE } from "../../scripts/up/demo.ts";
import { outsideSpots, podSpots, STAND_IN, standIns } from "./spots.ts";

const objects = standIns("image:1") as KubeObject[];
const pods = objects.filter(({ kind }) => kind === "Pod") as Pod[];

const running = (namespace: string, labels: Record<string, string>, more: object = {}): Pod =>
  ({
    metadata: { name: "pod", namespace, labels, uid: "1" },
    spec: { nodeName: "node1" },
    status: { podIP: "10.90.0.9", hostIP: "10.89.0.11", conditions: [{ type: "Ready", status: "True" }] },
    ...more,
  }) as unknown as Pod;

describe("stand-ins", () => {
  it("are one for each pod of the table that is not real, in a namespace that is made", () => {
    const real = [...FLEET, "operator", "dns"].length - 1;
    assert.equal(pods.length, EVERYBODY.filter((name) => "namespace" in WORLD[name]).length - real);
    const namespaces = new Set(objects.filter(({ kind }) => kind === "Namespace").map(({ metadata }) => metadata.name));
    for (const { metadata } of pods) {
      assert.ok(namespaces.has(metadata.namespace ?? ""), metadata.name);
      assert.match(metadata.name, /^[a-z0-9]+(-[a-z0-9]+)*$/);
      assert.equal(metadata.labels?.[STAND_IN], "true");
    }
    assert.equal(new Set(pods.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)).size, pods.length);
  });

  it("are ours where policies of ours choose them: the migration alone", () => {
    const ready = pods.map(({ metadata }) => running(metadata.namespace ?? "", metadata.labels ?? {}, { metadata }));
    const ours = podSpots(ready).filter(({ isOurs }) => isOurs);
    assert.deepEqual(
      ours.map(({ name }) => name),
      [`${DEMO_NAMESPACE}/migrate`],
    );
  });
});

describe("spots", () => {
  const entry = labelsOf("demo", "entry");

  it("are pods with an address of their own that are ready and stay", () => {
    assert.equal(podSpots([running(DEMO_NAMESPACE, entry)])[0]?.isOurs, true);
    assert.equal(podSpots([running("elsewhere", entry)])[0]?.isOurs, false);
    const none = [
      running(DEMO_NAMESPACE, entry, { status: { podIP: "10.90.0.9", hostIP: "10.89.0.11", conditions: [] } }),
      running(DEMO_NAMESPACE, entry, { status: {} }),
      running("kube-system", {}, { status: { ...running("x", {}).status, hostIP: "10.90.0.9" } }),
      running(DEMO_NAMESPACE, entry, { metadata: { name: "going", deletionTimestamp: "2026-11-27T00:00:00Z" } }),
    ];
    assert.deepEqual(podSpots(none), []);
  });

  it("outside are addresses of no pod", () => {
    for (const { place, node } of outsideSpots()) assert.deepEqual([place.namespace, node], [undefined, undefined]);
  });
});
