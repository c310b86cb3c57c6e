// SPDX-License-Identifier: Apache-2.0
import type { CacheSelection, DeltaHandler, ReflectorView } from "../kube/reflector.ts";
import type { KubeObject } from "../kube/types.ts";

/** Reflectors of one kind in several namespaces, as one. */
export class KindCache<T extends KubeObject> implements ReflectorView<T> {
  readonly #parts: readonly ReflectorView<T>[];

  constructor(parts: readonly ReflectorView<T>[]) {
    this.#parts = parts;
  }

  async synced(): Promise<void> {
    await Promise.all(this.#parts.map((part) => part.synced()));
  }

  get isSynced(): boolean {
    return this.#parts.every((part) => part.isSynced);
  }

  get(namespace: string | undefined, name: string): T | undefined {
    for (const part of this.#parts) {
      const object = part.get(namespace, name);
      if (object) return object;
    }
    return undefined;
  }

  list(selection?: CacheSelection): T[] {
    return this.#parts.flatMap((part) => part.list(selection));
  }

  on(handler: DeltaHandler<T>): () => void {
    const removers = this.#parts.map((part) => part.on(handler));
    return () => {
      for (const remove of removers) remove();
    };
  }

  get lastError(): Error | undefined {
    return this.#parts.map((part) => part.lastError).find((error) => error !== undefined);
  }
}
