// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { KubeClient } from "../kube/client.ts";
import { objectKey } from "../kube/owner.ts";
import type { KubeObject, Resource } from "../kube/types.ts";

/** A changed object is noticed after this at the latest. */
const FOUND_TTL_MS = 30_000;
/** One that was not there is asked for again after this. */
const ABSENT_TTL_MS = 2_000;
/** One that nobody asks for any more is forgotten after this: its cluster is gone. */
const UNUSED_MS = 300_000;

interface Cached<T> {
  object: T | undefined;
  readMs: number;
}

/** Reads Secrets or ConfigMaps one by one by name, because the operator may neither list nor watch them; remembers them for a while. */
export class ObjectReader<T extends KubeObject> {
  readonly #client: KubeClient;
  readonly #resource: Resource<T>;
  readonly #clock: Clock;
  readonly #cached = new Map<string, Cached<T>>();
  #sweptMs: number;

  constructor(client: KubeClient, resource: Resource<T>, clock: Clock) {
    this.#client = client;
    this.#resource = resource;
    this.#clock = clock;
    this.#sweptMs = clock.nowMs();
  }

  /** Objects and absences that are remembered. */
  get size(): number {
    return this.#cached.size;
  }

  /** Those of the names that exist. @throws KubeError when one cannot be read */
  async read(namespace: string, names: readonly string[]): Promise<ReadonlyMap<string, T>> {
    const objects = await Promise.all(names.map((name) => this.#readOne(namespace, name)));
    return new Map(objects.flatMap((object) => (object ? [[object.metadata.name, object] as const] : [])));
  }

  wrote(object: T): void {
    this.#cached.set(keyOf(object), { object, readMs: this.#clock.nowMs() });
  }

  /** The next read asks the server. */
  forget(namespace: string, name: string): void {
    this.#cached.delete(objectKey(namespace, name));
  }

  async #readOne(namespace: string, name: string): Promise<T | undefined> {
    const key = objectKey(namespace, name);
    const cached = this.#cached.get(key);
    const nowMs = this.#clock.nowMs();
    if (cached && nowMs - cached.readMs < (cached.object ? FOUND_TTL_MS : ABSENT_TTL_MS)) return cached.object;
    const read = await this.#client.get(this.#resource, namespace, name);
    // The same object while it is the same version: what was found out about it stays known.
    const object = cached?.object && read && isSame(cached.object, read) ? cached.object : read;
    this.#cached.set(key, { object, readMs: nowMs });
    this.#sweep(nowMs);
    return object;
  }

  #sweep(nowMs: number): void {
    if (nowMs - this.#sweptMs < UNUSED_MS) return;
    this.#sweptMs = nowMs;
    for (const [key, { readMs }] of this.#cached) if (nowMs - readMs >= UNUSED_MS) this.#cached.delete(key);
  }
}

function keyOf({ metadata }: KubeObject): string {
  return objectKey(metadata.namespace, metadata.name);
}

function isSame(a: KubeObject, b: KubeObject): boolean {
  return a.metadata.uid === b.metadata.uid && a.metadata.resourceVersion === b.metadata.resourceVersion;
}
