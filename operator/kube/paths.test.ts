// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { collectionPath, objectPath, withQuery } from "./paths.ts";
import { IM_CLUSTERS, NAMESPACES, PODS } from "./types.ts";

test("paths of the core group, of other groups, and of what has no namespace", () => {
  assert.equal(collectionPath(PODS, undefined), "/api/v1/pods");
  assert.equal(objectPath(PODS, "ns", "p", "eviction"), "/api/v1/namespaces/ns/pods/p/eviction");
  assert.equal(objectPath(IM_CLUSTERS, "ns", "demo"), "/apis/imcluster.io/v1alpha1/namespaces/ns/imclusters/demo");
  assert.equal(objectPath(NAMESPACES, "ignored", "ns"), "/api/v1/namespaces/ns");
  assert.equal(objectPath(PODS, "a/b", "../c"), "/api/v1/namespaces/a%2Fb/pods/..%2Fc");
});

test("a path that would name a whole collection is refused", () => {
  assert.throws(() => objectPath(PODS, "ns", ""), TypeError);
  assert.throws(() => objectPath(PODS, undefined, "p"), TypeError);
  assert.throws(() => objectPath(PODS, "", "p"), TypeError);
});

test("parameters that are not set are left out", () => {
  assert.equal(withQuery("/x", {}), "/x");
  assert.equal(
    withQuery("/x", { a: "b=c,d", limit: 0, on: false, none: undefined, empty: "" }),
    "/x?a=b%3Dc%2Cd&limit=0&on=false",
  );
});
