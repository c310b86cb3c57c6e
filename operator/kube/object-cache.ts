// SPDX-License-Identifier: Apache-2.0
import { matchesLabels } from "./labels.ts";
import { keyOf, objectKey } from "./owner.ts";
import { compareVersions } from "./resource-version.ts";
import type { KubeObject } from "./types.ts";

/** A change of the cache. `old` is what it held before; for `deleted`, `object` is the last known state. */
export interface Delta<T> {
  type: "added" | "updated" | "deleted";
  object: T;
  old?: T;
}

export interface CacheSelection {
  namespace?: string;
  /** The object must carry all of them. */
  labels?: Readonly<Record<string, string>>;
}

/**
 * Objects by namespace and name. A name with another UID is another object: its predecessor is reported as deleted first.
 * Every method that changes it returns what changed, in order; what changes nothing returns an empty list.
 */
export class ObjectCache<T extends KubeObject> {
  readonly #objects = new Map<string, T>();
  readonly #indexedLabel: string | undefined;
  /** By value of the indexed label, then as above. */
  readonly #byValue = new Map<string, Map<string, T>>();

  /** @param indexedLabel lists that ask for a value of it look at those that have it only */
  constructor(indexedLabel?: string) {
    this.#indexedLabel = indexedLabel;
  }

  get size(): number {
    return this.#objects.size;
  }

  get(namespace: string | undefined, name: string): T | undefined {
    return this.#objects.get(objectKey(namespace, name));
  }

  list(selection: CacheSelection = {}): T[] {
    const { namespace, labels } = selection;
    const found: T[] = [];
    for (const object of this.#candidates(labels)) {
      if (namespace !== undefined && object.metadata.namespace !== namespace) continue;
      if (labels && !matchesLabels(object, labels)) continue;
      found.push(object);
    }
    return found;
  }

  /**
   * An ADDED or MODIFIED event. One that is older than what is held (a repeated or late event) changes nothing, be it of
   * the same incarnation or of a former one.
   */
  put(object: T): Delta<T>[] {
    const old = this.#objects.get(keyOf(object));
    if (old && (isSameIncarnation(old, object) ? !isNewer(object, old) : isOlder(object, old))) return [];
    return this.#set(object, old);
  }

  /** A DELETED event. One of another incarnation than the one held changes nothing. */
  remove(object: T): Delta<T>[] {
    const key = keyOf(object);
    const old = this.#objects.get(key);
    if (!old || !isSameIncarnation(old, object)) return [];
    this.#drop(key, old);
    return [{ type: "deleted", object, old }];
  }

  /** A whole list: deletions first, so that nobody sees two incarnations at once. */
  replace(objects: readonly T[]): Delta<T>[] {
    const listed = new Set(objects.map(keyOf));
    const deltas: Delta<T>[] = [];
    for (const [key, old] of this.#objects) {
      if (listed.has(key)) continue;
      this.#drop(key, old);
      deltas.push({ type: "deleted", object: old, old });
    }
    for (const object of objects) {
      const old = this.#objects.get(keyOf(object));
      // The list is the truth, even when its versions went back (etcd restored from a backup).
      if (old && isSameIncarnation(old, object) && versionOf(old) === versionOf(object)) continue;
      deltas.push(...this.#set(object, old));
    }
    return deltas;
  }

  #candidates(labels: CacheSelection["labels"]): Iterable<T> {
    const value = this.#indexedLabel === undefined ? undefined : labels?.[this.#indexedLabel];
    return (value === undefined ? this.#objects : this.#byValue.get(value))?.values() ?? [];
  }

  #valueOf({ metadata }: T): string | undefined {
    return this.#indexedLabel === undefined ? undefined : metadata.labels?.[this.#indexedLabel];
  }

  #withValue(value: string): Map<string, T> {
    const known = this.#byValue.get(value) ?? new Map<string, T>();
    this.#byValue.set(value, known);
    return known;
  }

  #drop(key: string, object: T): void {
    this.#objects.delete(key);
    this.#unfile(key, object);
  }

  #unfile(key: string, object: T): void {
    const value = this.#valueOf(object);
    const group = value === undefined ? undefined : this.#byValue.get(value);
    group?.delete(key);
    if (value !== undefined && group?.size === 0) this.#byValue.delete(value);
  }

  #set(object: T, old: T | undefined): Delta<T>[] {
    const key = keyOf(object);
    if (old && this.#valueOf(old) !== this.#valueOf(object)) this.#unfile(key, old);
    this.#objects.set(key, object);
    const value = this.#valueOf(object);
    if (value !== undefined) this.#withValue(value).set(key, object);
    if (!old) return [{ type: "added", object }];
    if (isSameIncarnation(old, object)) return [{ type: "updated", object, old }];
    return [
      { type: "deleted", object: old, old },
      { type: "added", object },
    ];
  }
}

function versionOf(object: KubeObject): string {
  return object.metadata.resourceVersion ?? "";
}

function isSameIncarnation(a: KubeObject, b: KubeObject): boolean {
  return a.metadata.uid === b.metadata.uid;
}

/** Versions without an order count as news when they differ. */
function isNewer(object: KubeObject, than: KubeObject): boolean {
  return (compareVersions(versionOf(object), versionOf(than)) ?? 1) > 0;
}

/** Certainly older: never of versions without an order. */
function isOlder(object: KubeObject, than: KubeObject): boolean {
  return (compareVersions(versionOf(object), versionOf(than)) ?? 0) < 0;
}
