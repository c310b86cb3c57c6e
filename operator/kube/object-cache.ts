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

/** Deletions remembered since the last list. Of those before, nothing that comes late is believed. */
const MAX_GONE = 1_024;

/**
 * Objects by namespace and name. A name with another UID is another object: its predecessor is reported as deleted first.
 * Every method that changes it returns what changed, in order; what changes nothing returns an empty list. Events may come twice,
 * late and in any order: in the end it holds what the newest of each object said.
 */
export class ObjectCache<T extends KubeObject> {
  readonly #objects = new Map<string, T>();
  readonly #indexedLabel: string | undefined;
  /** By value of the indexed label, then as above. */
  readonly #byValue = new Map<string, Map<string, T>>();
  /** By UID: the version at which an object went, in the order of the events. */
  readonly #gone = new Map<string, string>();
  /** An object that is not held was gone by this version. */
  #knownTo = "";

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
    if (old && isSameIncarnation(old, object)) {
      if (!isNewer(versionOf(object), versionOf(old))) return [];
    } else if (this.#hasGone(object) || (old && isOlder(object, old))) return [];
    this.#gone.delete(uidOf(object));
    return this.#set(object, old);
  }

  /**
   * A DELETED event, also of an object that no longer matches the selector and may do so again later. One of another incarnation
   * than the one held, or older than it, changes nothing.
   */
  remove(object: T): Delta<T>[] {
    const key = keyOf(object);
    const old = this.#objects.get(key);
    const isHeld = old !== undefined && isSameIncarnation(old, object);
    if (isHeld && isOlder(object, old)) return [];
    this.#remember(uidOf(object), versionOf(object));
    if (!isHeld) return [];
    this.#drop(key, old);
    return [{ type: "deleted", object, old }];
  }

  /**
   * A whole list: deletions first, so that nobody sees two incarnations at once.
   *
   * @param resourceVersion of the list
   */
  replace(objects: readonly T[], resourceVersion: string): Delta<T>[] {
    this.#gone.clear();
    this.#knownTo = resourceVersion;
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

  /** Is this a late event of an object that went? */
  #hasGone(object: T): boolean {
    const atVersion = this.#gone.get(uidOf(object)) ?? this.#knownTo;
    return atVersion !== "" && !isNewer(versionOf(object), atVersion);
  }

  /** The deletion may have overtaken what the object was before: also one that is not held. */
  #remember(uid: string, goneBy: string): void {
    const before = this.#gone.get(uid);
    if (before !== undefined && !isNewer(goneBy, before)) return;
    this.#gone.delete(uid);
    this.#gone.set(uid, goneBy);
    if (this.#gone.size <= MAX_GONE) return;
    const [oldest] = this.#gone;
    if (!oldest) return;
    this.#gone.delete(oldest[0]);
    if (this.#knownTo === "" || isNewer(oldest[1], this.#knownTo)) this.#knownTo = oldest[1];
  }

  #set(object: T, old: T | undefined): Delta<T>[] {
    const key = keyOf(object);
    if (old && this.#valueOf(old) !== this.#valueOf(object)) this.#unfile(key, old);
    this.#objects.set(key, object);
    const value = this.#valueOf(object);
    if (value !== undefined) this.#withValue(value).set(key, object);
    if (!old) return [{ type: "added", object }];
    if (isSameIncarnation(old, object)) return [{ type: "updated", object, old }];
    this.#remember(uidOf(old), versionOf(object));
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

function uidOf(object: KubeObject): string {
  return object.metadata.uid ?? keyOf(object);
}

/** Versions without an order count as news when they differ. */
function isNewer(version: string, than: string): boolean {
  return (compareVersions(version, than) ?? 1) > 0;
}

/** Certainly older: never of versions without an order. */
function isOlder(object: KubeObject, than: KubeObject): boolean {
  return (compareVersions(versionOf(object), versionOf(than)) ?? 0) < 0;
}
