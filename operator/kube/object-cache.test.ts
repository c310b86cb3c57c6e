// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
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

test("what comes after its deletion, but is older, does not bring an object back", () => {
  const cache = new ObjectCache<KubeObject>();
  cache.put(object("a", "u1", "9"));
  cache.remove(object("a", "u1", "12"));
  for (const late of ["9", "11", "12"]) assert.deepEqual(cache.put(object("a", "u1", late)), [], late);
  assert.deepEqual(cache.remove(object("b", "u2", "14")), [], "a deletion that overtook the whole life of its object");
  assert.deepEqual(cache.put(object("b", "u2", "13")), []);
  assert.deepEqual(brief(cache.put(object("a", "u3", "10"))), ["added u3/10"], "another object, not heard of so far");
});

test("an object that left the selector and is back is not removed by its late deletion", () => {
  const cache = new ObjectCache<KubeObject>();
  cache.put(object("a", "u1", "9"));
  cache.remove(object("a", "u1", "12"));
  assert.deepEqual(brief(cache.put(object("a", "u1", "15"))), ["added u1/15"]);
  assert.deepEqual(cache.remove(object("a", "u1", "12")), []);
  assert.deepEqual(brief(cache.remove(object("a", "u1", "20"))), ["deleted u1/20 after u1/15"]);
});

test("a successor that overtakes the deletion of its predecessor stays", () => {
  const cache = new ObjectCache<KubeObject>();
  cache.put(object("a", "u1", "9"));
  assert.equal(cache.put(object("a", "u2", "13")).length, 2);
  assert.deepEqual(cache.remove(object("a", "u1", "12")), []);
  assert.deepEqual(cache.put(object("a", "u1", "11")), []);
  assert.equal(cache.get("ns", "a")?.metadata.uid, "u2");
  cache.remove(object("a", "u2", "14"));
  assert.deepEqual(cache.put(object("a", "u1", "9")), [], "also when its successor is gone");
});

test("of the time before a list nothing is believed that it does not have", () => {
  const cache = new ObjectCache<KubeObject>();
  cache.replace([object("a", "u1", "10")], "20");
  assert.deepEqual(cache.put(object("b", "u2", "20")), [], "gone by then");
  assert.deepEqual(brief(cache.put(object("b", "u2", "21"))), ["added u2/21"]);
  assert.deepEqual(brief(cache.put(object("a", "u1", "15"))), ["updated u1/15 after u1/10"]);
});

test("of a great many deletions the oldest are remembered by their version alone", () => {
  const cache = new ObjectCache<KubeObject>();
  for (let index = 0; index < 3_000; index++) cache.remove(object(`o-${index}`, `u-${index}`, String(10_000 + index)));
  for (const index of [0, 1_500, 2_999]) {
    assert.deepEqual(cache.put(object(`o-${index}`, `u-${index}`, String(10_000 + index))), [], `object ${index}`);
  }
  assert.equal(cache.put(object("new", "u-new", "13001")).length, 1);
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
  const deltas = cache.replace(
    [
      object("same", "u-same", "20"),
      object("changed", "u-changed", "15"),
      object("again", "u-again-2", "30"),
      object("new", "u-new", "31"),
    ],
    "31",
  );
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

test("an index by label finds what a look at all objects finds, whatever happened before", () => {
  const value = fc.option(fc.constantFrom("x", "y", "z"), { nil: undefined });
  const made = fc.record({
    name: fc.constantFrom("a", "b", "c", "d"),
    uid: fc.constantFrom("u1", "u2"),
    version: fc.nat(50).map(String),
    value,
  });
  const step = fc.oneof(
    fc.record({ do: fc.constantFrom("put" as const, "remove" as const), what: fc.tuple(made) }),
    fc.record({ do: fc.constant("replace" as const), what: fc.uniqueArray(made, { selector: ({ name }) => name }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const [indexed, plain] = [new ObjectCache<KubeObject>("app"), new ObjectCache<KubeObject>()];
      for (const { do: what, what: all } of steps) {
        const objects = all.map((one) =>
          object(one.name, one.uid, one.version, one.value === undefined ? {} : { app: one.value, other: "1" }),
        );
        const [first] = objects;
        const deltas = [indexed, plain].map((cache) => {
          if (what === "replace") return cache.replace(objects, "1");
          return first ? cache[what](first) : [];
        });
        assert.deepEqual(deltas[0], deltas[1]);
        const selections: Record<string, string>[] = [{ app: "x" }, { app: "y", other: "1" }, { app: "z", other: "2" }];
        for (const labels of [...selections, { other: "1" }, {}]) {
          const names = (cache: ObjectCache<KubeObject>) =>
            cache
              .list({ labels })
              .map(({ metadata }) => metadata.name)
              .sort();
          assert.deepEqual(names(indexed), names(plain), JSON.stringify(labels));
        }
      }
    }),
  );
});
