// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { matchesLabels } from "../kube/labels.ts";
import { keyOf, objectKey } from "../kube/owner.ts";
import type { ReflectorView } from "../kube/reflector.ts";
import type { KubeObject } from "../kube/types.ts";

interface Expectation<T> {
  object: T;
  isRemoved: boolean;
  atMs: number;
}

/** A write that the cache does not show after this was undone by somebody whom the cache never saw. */
const EXPECTATION_MS = 30_000;
/** Stands in for the deletion timestamp that the server has set and the cache does not show yet. */
const ASSUMED_GRACE_MS = 60_000;

/**
 * A reflector's cache with our own writes laid over it until the cache shows them. Without it the pass after a write would not
 * see the write, and would make a second pod, or drain a second victim.
 */
export class ObjectView<T extends KubeObject> {
  readonly #cache: ReflectorView<T>;
  readonly #clock: Clock;
  readonly #expected = new Map<string, Expectation<T>>();

  constructor(cache: ReflectorView<T>, clock: Clock) {
    this.#cache = cache;
    this.#clock = clock;
    cache.on(({ type, object }) => {
      if (type === "deleted") this.#settleDeleted(object);
    });
  }

  list(namespace: string, labels: Record<string, string>): T[] {
    const found = new Map(this.#cache.list({ namespace, labels }).map((object) => [keyOf(object), object]));
    for (const [key, { object }] of this.#expected) {
      if (object.metadata.namespace !== namespace || !matchesLabels(object, labels)) continue;
      const current = this.#resolve(key, this.#cache.get(namespace, object.metadata.name));
      if (current && matchesLabels(current, labels)) found.set(key, current);
    }
    return [...found.values()];
  }

  get(namespace: string, name: string): T | undefined {
    return this.#resolve(objectKey(namespace, name), this.#cache.get(namespace, name));
  }

  /** The server's answer to a create, apply or patch. */
  wrote(object: T): void {
    this.#expected.set(keyOf(object), { object, isRemoved: false, atMs: this.#clock.nowMs() });
  }

  /** A delete was accepted; finalizers or the grace period may keep the object for a while. */
  removed(object: T): void {
    this.#expected.set(keyOf(object), { object, isRemoved: true, atMs: this.#clock.nowMs() });
  }

  #resolve(key: string, cached: T | undefined): T | undefined {
    const expected = this.#expected.get(key);
    if (!expected) return cached;
    if (this.#isSettled(expected, cached)) {
      this.#expected.delete(key);
      return cached;
    }
    if (!expected.isRemoved) return expected.object;
    return cached && this.#asDeleted(cached);
  }

  #isSettled({ object, isRemoved, atMs }: Expectation<T>, cached: T | undefined): boolean {
    if (this.#clock.nowMs() - atMs > EXPECTATION_MS) return true;
    if (isRemoved) {
      return !cached || cached.metadata.uid !== object.metadata.uid || cached.metadata.deletionTimestamp !== undefined;
    }
    return cached !== undefined && compareVersions(cached, object) >= 0;
  }

  #settleDeleted(object: T): void {
    const key = keyOf(object);
    if (this.#expected.get(key)?.object.metadata.uid === object.metadata.uid) this.#expected.delete(key);
  }

  #asDeleted(object: T): T {
    const deletionTimestamp = new Date(this.#clock.wallMs() + ASSUMED_GRACE_MS).toISOString();
    return { ...object, metadata: { ...object.metadata, deletionTimestamp } };
  }
}

/** Versions are decimal numbers that only grow (KEP-5504). */
function compareVersions(a: KubeObject, b: KubeObject): number {
  const [x = "", y = ""] = [a.metadata.resourceVersion, b.metadata.resourceVersion];
  return x.length - y.length || x.localeCompare(y);
}
