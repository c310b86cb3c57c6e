// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { KubeObject } from "../operator/kube/types.ts";
import { fieldChanges, specPatch } from "./edit.ts";

const object = (spec: unknown, applied?: unknown): KubeObject =>
  ({
    metadata: {
      name: "demo",
      ...(applied === undefined
        ? {}
        : { annotations: { "kubectl.kubernetes.io/last-applied-configuration": JSON.stringify(applied) } }),
    },
    spec,
  }) as unknown as KubeObject;

describe("specPatch", () => {
  it("is the file's spec, and null for what an earlier apply set and the file leaves out", () => {
    const applied = { spec: { entry: { replicas: 3, limits: { framesPerSecond: 5 } }, version: "0.1.0" } };
    const live = object({ entry: { replicas: 9, demo: true }, version: "0.1.0" }, applied);
    assert.deepEqual(specPatch(live, object({ entry: { demo: false, origins: ["a"] } })), {
      version: null,
      entry: { replicas: null, limits: null, demo: false, origins: ["a"] },
    });
    assert.deepEqual(specPatch(live, object(undefined)), { entry: null, version: null });
  });

  it("takes nothing away when it is not known what was applied", () => {
    assert.deepEqual(specPatch(object({ a: 1 }), object({ b: 2 })), { b: 2 });
    const odd = object({ a: 1 });
    odd.metadata.annotations = { "kubectl.kubernetes.io/last-applied-configuration": "{" };
    assert.deepEqual(specPatch(odd, object({ b: 2 })), { b: 2 });
  });
});

describe("fieldChanges", () => {
  it("names leaves that differ, lists whole", () => {
    const from = { entry: { replicas: 3, demo: false, origins: ["a"] }, version: "1", same: { x: 1 } };
    const to = { entry: { replicas: 6, demo: false, origins: ["a", "b"] }, same: { x: 1 }, image: "i" };
    assert.deepEqual(fieldChanges(from, to, "spec"), [
      { path: "spec.entry.replicas", from: 3, to: 6 },
      { path: "spec.entry.origins", from: ["a"], to: ["a", "b"] },
      { path: "spec.version", from: "1", to: undefined },
      { path: "spec.image", from: undefined, to: "i" },
    ]);
    assert.deepEqual(fieldChanges(from, from, "spec"), []);
    assert.deepEqual(fieldChanges({ a: {} }, { a: 1 }, "s"), [{ path: "s.a", from: {}, to: 1 }]);
  });
});
