// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { matchesLabels } from "../kube/labels.ts";
import { keyOf, objectKey } from "../kube/owner.ts";
import type { ReflectorView } from "../kube/reflector.ts";
import { compareVersions } from "../kube/resource-version.ts";
import type { KubeObject } from "../kube/types.ts";

/**
 * What we know better than the cache: `wrote` an object, had it `removed`, heard that it is `gone` or `outdated`, or asked for its
 * creation and are `unsure` whether that happened.
 */
interface Expectation<T> {
  kind: "wrote" | "removed" | "gone" | "outdated" | "unsure";
  object: T;
  atMs: number;
}

/** What the server has: `object`, or none, as of `resourceVersion`. */
export interface Found<T> {
  object: T | undefined;
  resourceVersion: string;
}

/** A write that the cache does not show after this is looked up: the watch may be deaf, or somebody undid it meanwhile. */
const OVERDUE_MS = 30_000;
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
      else found.delete(key);
    }
    return [...found.values()];
  }

  /** All of them as the watch has them, without our own writes: for those who only look. */
  watched(): T[] {
    return this.#cache.list();
  }

  get(namespace: string, name: string): T | undefined {
    return this.#resolve(objectKey(namespace, name), this.#cache.get(namespace, name));
  }

  /** The server's answer to a create, apply, patch or get. */
  wrote(object: T): void {
    this.#expect("wrote", object);
  }

  /** A delete was accepted; finalizers or the grace period may keep the object for a while. */
  removed(object: T): void {
    this.#expect("removed", object);
  }

  /** The server says that there is no such object. */
  gone(object: T): void {
    this.#expect("gone", object);
  }

  /** The server has a newer version, says a write that was refused. Until the cache has it, {@link confirm} asks. */
  outdated(object: T): void {
    this.#expect("outdated", object);
  }

  /** The answer to its creation was lost. Nothing is shown of it before {@link confirm} has asked. */
  unsure(object: T): void {
    this.#expect("unsure", object);
  }

  /**
   * Looks up what is not certain, and what the cache should have shown for long: a deaf watch must neither hide a pod that we
   * made, nor bring one back that we had removed. To be called before a pass.
   *
   * @param isMeant of which objects
   * @param read what the server has by this name
   */
  async confirm(isMeant: (object: T) => boolean, read: (object: T) => Promise<Found<T>>): Promise<void> {
    for (const [key, expectation] of [...this.#expected]) {
      const { object, kind, atMs } = expectation;
      const isUrgent = kind === "unsure" || kind === "outdated";
      if (!isMeant(object) || (!isUrgent && this.#clock.nowMs() - atMs <= OVERDUE_MS)) continue;
      const { namespace, name } = object.metadata;
      if (this.#isSettled(expectation, this.#cache.get(namespace, name))) {
        this.#expected.delete(key);
        continue;
      }
      const found = await read(object);
      // An answer from before the write says nothing about it.
      if (isBefore(found.resourceVersion, object)) continue;
      if (found.object) this.wrote(found.object);
      else if (kind === "unsure") this.#expected.delete(key);
      else this.gone(object);
    }
  }

  #expect(kind: Expectation<T>["kind"], object: T): void {
    this.#expected.set(keyOf(object), { kind, object, atMs: this.#clock.nowMs() });
  }

  #resolve(key: string, cached: T | undefined): T | undefined {
    const expected = this.#expected.get(key);
    if (!expected) return cached;
    if (this.#isSettled(expected, cached)) {
      this.#expected.delete(key);
      return cached;
    }
    switch (expected.kind) {
      case "wrote":
        return expected.object;
      case "outdated":
        return cached && isBefore(cached.metadata.resourceVersion, expected.object) ? expected.object : cached;
      case "removed":
        return cached && this.#asDeleted(cached);
      case "gone":
      case "unsure":
        return undefined;
    }
  }

  #isSettled({ kind, object }: Expectation<T>, cached: T | undefined): boolean {
    const isOther = !cached || cached.metadata.uid !== object.metadata.uid;
    switch (kind) {
      case "wrote":
        return cached !== undefined && !isBefore(cached.metadata.resourceVersion, object);
      case "outdated":
        return cached !== undefined && isBefore(object.metadata.resourceVersion, cached);
      case "removed":
        return isOther || cached.metadata.deletionTimestamp !== undefined;
      case "gone":
        return isOther;
      case "unsure":
        return cached !== undefined;
    }
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

function isBefore(resourceVersion: string | undefined, object: KubeObject): boolean {
  return (compareVersions(resourceVersion ?? "", object.metadata.resourceVersion ?? "") ?? 0) < 0;
}
