// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatLabels, matchesLabels } from "./labels.ts";
import { controllerOf, controllerReference, isControlledBy, isOrphan, keyOf, splitKey } from "./owner.ts";
import { IM_CLUSTERS, type KubeObject } from "./types.ts";

const owner: KubeObject = { metadata: { namespace: "ns", name: "demo", uid: "u1" } };

test("an owner is known by its UID, not by its name", () => {
  const reference = controllerReference(IM_CLUSTERS, owner);
  assert.deepEqual(reference, {
    apiVersion: "imcluster.io/v1alpha1",
    kind: "ImCluster",
    name: "demo",
    uid: "u1",
    controller: true,
    blockOwnerDeletion: true,
  });
  const other = { ...reference, uid: "u0", controller: false };
  const owned: KubeObject = { metadata: { name: "pod", ownerReferences: [other, reference] } };
  assert.equal(controllerOf(owned), reference);
  assert.deepEqual([isControlledBy(owned, "u1"), isControlledBy(owned, "u0")], [true, false]);
  assert.deepEqual([isOrphan(owned), isOrphan({ metadata: { name: "pod", ownerReferences: [other] } })], [false, true]);
  assert.throws(() => controllerReference(IM_CLUSTERS, { metadata: { name: "unsaved" } }), TypeError);
});

test("keys go there and back", () => {
  assert.deepEqual(splitKey(keyOf(owner)), { namespace: "ns", name: "demo" });
  assert.deepEqual(splitKey(keyOf({ metadata: { name: "node" } })), { namespace: undefined, name: "node" });
});

test("labels match when all of them do, and are formatted in one order", () => {
  const object: KubeObject = { metadata: { name: "x", labels: { a: "1", b: "2" } } };
  assert.deepEqual([matchesLabels(object, { b: "2" }), matchesLabels(object, { b: "2", c: "" })], [true, false]);
  assert.equal(matchesLabels({ metadata: { name: "x" } }, {}), true);
  assert.equal(formatLabels({ b: "2", a: "1" }), "a=1,b=2");
});
