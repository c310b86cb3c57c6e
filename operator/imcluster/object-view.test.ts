// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { matchesLabels } from "../kube/labels.ts";
import type { CacheSelection, DeltaHandler, ReflectorView } from "../kube/reflector.ts";
import type { KubeObject } from "../kube/types.ts";
import { ObjectView } from "./object-view.ts";

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

  it("believes the cache again after 30 s", () => {
    const { clock, view, versions } = setUp();
    view.wrote(pod("5"));
    clock.advance(30_001);
    assert.deepEqual(versions(), []);
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
