// SPDX-License-Identifier: Apache-2.0
import type { KubeObject, Resource } from "./types.ts";

/** Options of every call. */
export interface CallOptions {
  /** Time for the whole call including its body. Default 10,000 ms. */
  deadlineMs?: number;
  signal?: AbortSignal;
}

export interface Selection {
  /** For example `imcluster.io/cluster=demo`; see `formatLabels`. */
  labelSelector?: string;
  fieldSelector?: string;
}

export interface ListOptions extends Selection, CallOptions {
  /** Objects a page. Default 500. */
  limit?: number;
  /** `Page.continue` of the page before. */
  continue?: string;
}

export interface Page<T> {
  items: T[];
  /** Of the collection: where a watch starts. */
  resourceVersion: string;
  /** Set when there are more pages. */
  continue?: string;
}

export interface ApplyOptions extends CallOptions {
  /** Default `im-operator`. */
  fieldManager?: string;
  /** Take fields over from other managers. Default true: the operator owns what it applies. */
  force?: boolean;
}

export interface CreateOptions extends CallOptions {
  /** Only say what would be: defaults are filled in, rules are checked, nothing is kept. */
  dryRun?: boolean;
}

export interface PatchOptions extends CreateOptions {
  subresource?: "status" | "scale";
  fieldManager?: string;
}

export interface DeleteOptions extends CallOptions {
  /** Delete only this incarnation of the name. */
  uid?: string;
  resourceVersion?: string;
  gracePeriodSeconds?: number;
  /** Default `Background`. */
  propagationPolicy?: "Background" | "Foreground" | "Orphan";
}

export interface EvictOptions extends CallOptions {
  uid?: string;
  gracePeriodSeconds?: number;
  /** Ask only whether the eviction would be allowed now. */
  dryRun?: boolean;
}

/** `blocked`: a disruption budget or an admission webhook said 429; try again later. */
export type EvictOutcome = "evicted" | "gone" | "conflict" | "blocked";

export interface WatchOptions extends Selection {
  resourceVersion: string;
  /** The server ends the watch after this many seconds. */
  timeoutSeconds: number;
  /** No byte for this long, bookmarks included: the watch ends with a `KubeError` of reason `Timeout`. */
  inactivityMs: number;
  signal?: AbortSignal;
}

/**
 * `OPENED` comes first, when the server accepted the watch. `INVALID` is a line that is no event: what it said is lost, so
 * the reader has to list again.
 */
export type WatchEvent<T> =
  | { type: "OPENED" }
  | { type: "ADDED" | "MODIFIED" | "DELETED"; object: T }
  | { type: "BOOKMARK"; resourceVersion: string }
  | { type: "INVALID"; detail: string };

/**
 * Calls of the Kubernetes API. Every call has a deadline; nothing is retried here (the work queue and the reflector do
 * that). Expected outcomes are values; everything else rejects with a `KubeError`, whose `retryable` says what may pass.
 */
export interface KubeClient {
  /** `undefined` when there is none. */
  get<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
    options?: CallOptions,
  ): Promise<T | undefined>;
  /** One page. Without a namespace: all namespaces. */
  list<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    options?: ListOptions,
  ): Promise<Page<T>>;
  /** `exists`: there is an object of this name, whose content may differ. */
  create<T extends KubeObject>(resource: Resource<T>, object: T, options?: CreateOptions): Promise<T | "exists">;
  /**
   * Server-side apply: creates or changes. Set `metadata.uid` to never create and never touch another incarnation
   * (rejects with `isConflict`).
   */
  apply<T extends KubeObject>(resource: Resource<T>, object: T, options?: ApplyOptions): Promise<T>;
  /** Server-side apply of the status subresource; `undefined` when the object is gone. */
  applyStatus<T extends KubeObject>(
    resource: Resource<T>,
    object: Pick<T, "metadata"> & { status: unknown },
    options?: ApplyOptions,
  ): Promise<T | undefined>;
  /**
   * JSON merge patch (null removes a field, lists are replaced whole). `metadata.uid` and `metadata.resourceVersion` in
   * the patch are preconditions (rejects with `isConflict`). `undefined` when the object is gone.
   */
  patchMerge<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
    patch: object,
    options?: PatchOptions,
  ): Promise<T | undefined>;
  /** `deleted`: accepted, finalizers may still hold it. `conflict`: another UID or resourceVersion. */
  delete(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    options?: DeleteOptions,
  ): Promise<"deleted" | "gone" | "conflict">;
  evict(namespace: string, podName: string, options?: EvictOptions): Promise<EvictOutcome>;
  /**
   * Low level: one watch request as its events. Ends when the server ends it or `signal` aborts; throws a `KubeError`
   * on refusal (`isExpired` for 410, also out of an ERROR event), silence or a cut. Leaving the loop closes the socket.
   */
  watch<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    options: WatchOptions,
  ): AsyncIterable<WatchEvent<T>>;
  /** GET of a path that is no object, as text; for `/version`, `/readyz`. */
  raw(path: string, options?: CallOptions): Promise<string>;
  /** Closes idle sockets and rejects what is under way. */
  close(): void;
}
