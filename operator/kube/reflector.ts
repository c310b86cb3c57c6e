// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { Logger } from "#lib/logger.ts";
import type { KubeClient, Selection } from "./client.ts";
import type { KubeObject, Resource } from "./types.ts";

/** A change of the cache. `old` is what the cache held before; for `deleted`, `object` is the last known state. */
export interface Delta<T> {
  type: "added" | "updated" | "deleted";
  object: T;
  old?: T;
}

/** Must be quick (normally: put a key into a work queue). When it throws, it gets the same delta again later. */
export type DeltaHandler<T> = (delta: Delta<T>) => void;

/** Why a list or a watch was started again, for the metric label. */
export type RestartCause = "ended" | "expired" | "silent" | "cut" | "throttled" | "refused" | "invalid" | "list_failed";

export interface ReflectorMetrics {
  restarted?(kind: string, cause: RestartCause): void;
  listed?(kind: string, objects: number, durationMs: number): void;
  invalidLine?(kind: string): void;
  handlerFailed?(kind: string): void;
}

export interface ReflectorOptions<T extends KubeObject> extends Selection {
  client: KubeClient;
  resource: Resource<T>;
  /** All namespaces when not given. */
  namespace?: string;
  log: Logger;
  clock?: Clock;
  random?: () => number;
  metrics?: ReflectorMetrics;
  /** Objects a list page. Default 500. */
  pageSize?: number;
  /** Default 300 s, +-20 % of jitter. */
  watchTimeoutSeconds?: number;
  inactivityMs?: number;
  /** Between failing attempts. Default 500 ms to 30 s, full jitter. */
  backoff?: { baseMs: number; capMs: number };
}

/**
 * A live copy of the objects of one kind: list, then watch, for ever. Objects of the cache are shared: do not change them.
 * `metadata.managedFields` is dropped to save memory.
 */
export interface ReflectorView<T extends KubeObject> {
  /** Resolves when the first list is in the cache and handed out; rejects when closed before. */
  synced(): Promise<void>;
  readonly isSynced: boolean;
  get(namespace: string | undefined, name: string): T | undefined;
  /** All objects, or those of a namespace, that carry all the labels. */
  list(selector?: { namespace?: string; labels?: Record<string, string> }): T[];
  /** Adds a handler, which first gets `added` for everything in the cache; returns its remover. */
  on(handler: DeltaHandler<T>): () => void;
  /** The last fault, `undefined` while the watch is healthy. */
  readonly lastError: Error | undefined;
}
// class Reflector<T> implements ReflectorView<T> { constructor(options: ReflectorOptions<T>); start(): void; close(): Promise<void> }
