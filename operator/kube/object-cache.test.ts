// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Delta, ObjectCache } from "./object-cache.ts";
import type { KubeObject } from "./types.ts";

const object = (name: string, uid: string, resourceVersion: string, labels?: Record<string, string>): KubeObject => ({
  metadata: { namespace: "ns", name, uid, resourceVersion, labels },
});

const brief = (deltas: Delta<KubeObject>[]): string[] =>
  deltas.map(({ type, object: { metadata }, old }) => {
    const before = old ? ` after ${old.metadata.uid}/${old.metadata.resourceVersion}` : "";
    return `${type} ${metadata.uid}/${metadata.resourceVersion}${before}`;
  });

test("events become deltas, and what is not news becomes none", () => {
  const cache = new ObjectCache<KubeObject>();
  assert.deepEqual(brief(cache.put(object("a", "u1", "9"))), ["added u1/9"]);
  assert.deepEqual(brief(cache.put(object("a", "u1", "10"))), ["updated u1/10 after u1/9"]);
  assert.deepEqual(cache.put(object("a", "u1", "10")), []);
  assert.deepEqual(cache.put(object("a", "u1", "9")), []);
  assert.deepEqual(cache.remove(object("a", "u0", "11")), []);
  assert.deepEqual(brief(cache.remove(object("a", "u1", "12"))), ["deleted u1/12 after u1/10"]);
  assert.deepEqual(cache.remove(object("a", "u1", "12")), []);
  assert.equal(cache.size, 0);
});

test("versions that are no numbers only have to differ", () => {
  const cache = new ObjectCache<KubeObject>();
  cache.put(object("a", "u1", "b"));
  assert.equal(cache.put(object("a", "u1", "b")).length, 0);
  assert.equal(cache.put(object("a", "u1", "a")).length, 1);
});

test("another UID is a deletion and an addition", () => {
  const cache = new ObjectCache<KubeObject>();
  cache.put(object("a", "u1", "5"));
  assert.deepEqual(brief(cache.put(object("a", "u2", "10"))), ["deleted u1/5 after u1/5", "added u2/10"]);
});

test("a late event of a former incarnation changes nothing", () => {
  const cache = new ObjectCache<KubeObject>();
  cache.put(object("a", "u2", "10"));
  assert.deepEqual(cache.put(object("a", "u1", "9")), []);
  assert.equal(cache.get("ns", "a")?.metadata.uid, "u2");
  cache.put(object("b", "u1", "x"));
  assert.equal(cache.put(object("b", "u2", "a")).length, 2, "versions without an order: the newest event is believed");
});

test("a list replaces all, deletions first, even when its versions went back", () => {
  const cache = new ObjectCache<KubeObject>();
  for (const name of ["same", "gone", "changed", "again"]) cache.put(object(name, `u-${name}`, "20"));
  const deltas = cache.replace([
    object("same", "u-same", "20"),
    object("changed", "u-changed", "15"),
    object("again", "u-again-2", "30"),
    object("new", "u-new", "31"),
  ]);
  assert.deepEqual(brief(deltas), [
    "deleted u-gone/20 after u-gone/20",
    "updated u-changed/15 after u-changed/20",
    "deleted u-again/20 after u-again/20",
    "added u-again-2/30",
    "added u-new/31",
  ]);
});

test("a selection is by namespace and by labels", () => {
  const cache = new ObjectCache<KubeObject>();
  cache.put(object("a", "u1", "1", { app: "im", part: "entry" }));
  cache.put(object("b", "u2", "2", { app: "im" }));
  cache.put({ metadata: { name: "node", uid: "u3", resourceVersion: "3" } });
  const names = (selection?: Parameters<typeof cache.list>[0]) =>
    cache.list(selection).map(({ metadata }) => metadata.name);
  assert.deepEqual(names(), ["a", "b", "node"]);
  assert.deepEqual(names({ namespace: "ns", labels: { app: "im" } }), ["a", "b"]);
  assert.deepEqual(names({ labels: { app: "im", part: "entry" } }), ["a"]);
  assert.deepEqual(names({ namespace: "other" }), []);
  assert.equal(cache.get(undefined, "node")?.metadata.uid, "u3");
  assert.equal(cache.get("ns", "node"), undefined);
});
