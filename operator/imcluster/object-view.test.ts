// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { matchesLabels } from "../kube/labels.ts";
import type { CacheSelection, DeltaHandler, ReflectorView } from "../kube/reflector.ts";
import type { KubeObject } from "../kube/types.ts";
import { type Found, ObjectView } from "./object-view.ts";

/** A cache that shows what it is told, when it is told. */
class ScriptedCache implements ReflectorView<KubeObject> {
  readonly objects = new Map<string, KubeObject>();
  readonly isSynced = true;
  readonly lastError = undefined;
  #handler: DeltaHandler<KubeObject> | undefined;

  synced(): Promise<void> {
    return Promise.resolve();
  }

  get(_namespace: string | undefined, name: string): KubeObject | undefined {
    return this.objects.get(name);
  }

  list({ labels = {} }: CacheSelection = {}): KubeObject[] {
    return [...this.objects.values()].filter((object) => matchesLabels(object, labels));
  }

  on(handler: DeltaHandler<KubeObject>): () => void {
    this.#handler = handler;
    return () => undefined;
  }

  show(object: KubeObject): void {
    this.objects.set(object.metadata.name, object);
  }

  drop(object: KubeObject): void {
    this.objects.delete(object.metadata.name);
    this.#handler?.({ type: "deleted", object });
  }
}

const LABELS = { app: "im" };
const pod = (resourceVersion: string, fields: Partial<KubeObject["metadata"]> = {}): KubeObject => ({
  metadata: { name: "p", namespace: "n", uid: "u1", labels: LABELS, resourceVersion, ...fields },
});

function setUp() {
  const cache = new ScriptedCache();
  const clock = new FakeClock();
  const view = new ObjectView(cache, clock);
  return { cache, clock, view, versions: () => view.list("n", LABELS).map(({ metadata }) => metadata.resourceVersion) };
}

describe("ObjectView", () => {
  it("shows a new object before the cache does, and once when it does", () => {
    const { cache, view, versions } = setUp();
    view.wrote(pod("5"));
    assert.deepEqual(versions(), ["5"]);
    assert.equal(view.get("n", "p")?.metadata.resourceVersion, "5");
    cache.show(pod("5"));
    assert.deepEqual(versions(), ["5"]);
    cache.show(pod("6"));
    assert.deepEqual(versions(), ["6"]);
  });

  it("prefers its own newer write to an older cache, and compares versions as numbers", () => {
    const { cache, view, versions } = setUp();
    cache.show(pod("9"));
    view.wrote(pod("10"));
    assert.deepEqual(versions(), ["10"]);
    cache.show(pod("11"));
    assert.deepEqual(versions(), ["11"]);
  });

  it("shows a deleted object as being deleted until the cache does", () => {
    const { cache, view } = setUp();
    cache.show(pod("5"));
    view.removed(pod("5"));
    assert.ok(view.list("n", LABELS)[0]?.metadata.deletionTimestamp);
    cache.drop(pod("5"));
    assert.deepEqual(view.list("n", LABELS), []);
  });

  it("does not take a successor of the same name for the deleted one", () => {
    const { cache, view } = setUp();
    cache.show(pod("5"));
    view.removed(pod("5"));
    cache.show(pod("8", { uid: "u2" }));
    assert.equal(view.get("n", "p")?.metadata.deletionTimestamp, undefined);
  });

  it("forgets an object that came and went", () => {
    const { cache, view, versions } = setUp();
    view.wrote(pod("5"));
    cache.drop(pod("6"));
    assert.deepEqual(versions(), []);
  });

  it("shows its write for as long as it takes, asks after 30 s, and goes by the answer", async () => {
    const { cache, clock, view, versions } = setUp();
    const asked: string[] = [];
    const confirm = (found: Found<KubeObject>) =>
      view.confirm(
        ({ metadata }) => metadata.namespace === "n",
        ({ metadata }) => {
          asked.push(metadata.name);
          return Promise.resolve(found);
        },
      );
    view.wrote(pod("5"));
    await confirm({ object: undefined, resourceVersion: "9" });
    assert.deepEqual([asked, versions()], [[], ["5"]], "not yet");
    clock.advance(30_001);
    await confirm({ object: undefined, resourceVersion: "4" });
    assert.deepEqual([asked, versions()], [["p"], ["5"]], "the answer is older than the write");
    await confirm({ object: pod("7"), resourceVersion: "9" });
    assert.deepEqual(versions(), ["7"]);
    clock.advance(30_001);
    cache.show(pod("6"));
    await confirm({ object: undefined, resourceVersion: "20" });
    assert.deepEqual(versions(), [], "gone, although the cache shows it");
    cache.show(pod("30", { uid: "u2" }));
    assert.deepEqual(versions(), ["30"], "its successor is there");
    await confirm({ object: undefined, resourceVersion: "40" });
    assert.equal(asked.length, 3, "nothing left to ask");
  });

  it("knows nothing of a creation whose answer was lost, and asks before anything else", async () => {
    const { view, versions } = setUp();
    const { resourceVersion: _, uid: __, ...metadata } = pod("").metadata;
    const read = (object: KubeObject | undefined) => () => Promise.resolve({ object, resourceVersion: "9" });
    view.unsure({ metadata });
    assert.deepEqual(versions(), []);
    await view.confirm(() => true, read(pod("8")));
    assert.deepEqual(versions(), ["8"], "it was done");
    view.unsure({ metadata });
    await view.confirm(() => true, read(undefined));
    await view.confirm(
      () => true,
      () => assert.fail("it was not done, and is forgotten"),
    );
    assert.deepEqual(versions(), []);
  });

  it("asks for what was refused as outdated, unless the cache has something newer by then", async () => {
    const { cache, view, versions } = setUp();
    const read = (found: Found<KubeObject>) => () => Promise.resolve(found);
    const nobody = () => assert.fail("no need to ask");
    cache.show(pod("5"));
    view.outdated(pod("7"));
    assert.deepEqual(versions(), ["7"], "it was ours, and the cache is older");
    await view.confirm(() => true, read({ object: pod("9"), resourceVersion: "12" }));
    assert.deepEqual(versions(), ["9"]);
    view.outdated(pod("9"));
    cache.show(pod("10"));
    await view.confirm(() => true, nobody);
    assert.deepEqual(versions(), ["10"]);
    view.outdated(pod("10"));
    await view.confirm(() => true, read({ object: undefined, resourceVersion: "12" }));
    assert.deepEqual(versions(), []);
  });

  it("leaves out what the server does not have any more, whatever the cache shows", () => {
    const { cache, view, versions } = setUp();
    cache.show(pod("5"));
    view.gone(pod("5"));
    assert.deepEqual(versions(), []);
    cache.show(pod("6"));
    assert.equal(view.get("n", "p"), undefined);
    cache.drop(pod("6"));
    cache.show(pod("8", { uid: "u2" }));
    assert.deepEqual(versions(), ["8"]);
  });

  it("leaves out what lost its labels, and other namespaces", () => {
    const { cache, view, versions } = setUp();
    cache.show(pod("5"));
    view.wrote(pod("6", { labels: {} }));
    view.wrote(pod("7", { name: "q", namespace: "other" }));
    assert.deepEqual(
      versions().filter((version) => version !== "5"),
      [],
    );
  });
});
