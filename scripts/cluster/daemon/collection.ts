// SPDX-License-Identifier: Apache-2.0
import { setTimeout as delay } from "node:timers/promises";
import type { Kube, KubeObject } from "../kube.ts";

const RETRY_MS = 1000;

/** What a collection needs of the API server. */
export type ListWatcher = Pick<Kube, "list" | "watch">;

/** All objects under one API path, kept current by list and watch until the signal aborts. */
export class Collection<T extends KubeObject> {
  readonly #kube: ListWatcher;
  readonly #path: string;
  readonly #onChange: () => void;
  readonly #log: (text: string) => void;
  readonly #objects = new Map<string, T>();
  #isSynced = false;

  constructor(o: { kube: ListWatcher; path: string; onChange: () => void; log: (text: string) => void }) {
    this.#kube = o.kube;
    this.#path = o.path;
    this.#onChange = o.onChange;
    this.#log = o.log;
  }

  /** True after the first complete list; what is missing before that is not missing for real. */
  get isSynced(): boolean {
    return this.#isSynced;
  }

  values(): T[] {
    return [...this.#objects.values()];
  }

  /** Lists, then watches; lists again whenever the watch ends. Resolves when `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const list = await this.#kube.list<T>(this.#path);
        this.#objects.clear();
        for (const object of list.items) this.#set(object);
        this.#isSynced = true;
        this.#onChange();
        await this.#kube.watch<T>(this.#path, list.metadata.resourceVersion, (event) => this.#onEvent(event), signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#log(`${this.#path}: ${error instanceof Error ? error.message : String(error)}; again in ${RETRY_MS} ms`);
        await delay(RETRY_MS);
      }
    }
  }

  #set(object: T): void {
    if (object.metadata.uid) this.#objects.set(object.metadata.uid, object);
  }

  #onEvent(event: { type: string; object: T }): void {
    if (event.type === "BOOKMARK") return;
    if (event.type === "ERROR") throw new Error("the server ended the watch");
    if (event.type === "DELETED") this.#objects.delete(event.object.metadata.uid ?? "");
    else this.#set(event.object);
    this.#onChange();
  }
}
