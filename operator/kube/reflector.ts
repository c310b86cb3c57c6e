// SPDX-License-Identifier: Apache-2.0
import { Backoff } from "#lib/backoff.ts";
import { type Clock, systemClock } from "#lib/clock.ts";
import { ErrorCode, ImError } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import type { KubeClient, Selection, WatchEvent } from "./client.ts";
import { DeltaFeed, type DeltaHandler } from "./delta-feed.ts";
import { KubeError } from "./kube-error.ts";
import { type CacheSelection, type Delta, ObjectCache } from "./object-cache.ts";
import { keyOf } from "./owner.ts";
import { compareVersions } from "./resource-version.ts";
import type { KubeObject, Resource } from "./types.ts";

export type { CacheSelection, Delta, DeltaHandler };

/** Why a list or a watch was started again: a metric label. `ended` is the normal end after `timeoutSeconds`. */
export type RestartCause = "ended" | "expired" | "silent" | "cut" | "throttled" | "refused" | "invalid" | "list_failed";

export interface ReflectorMetrics {
  restarted?(kind: string, cause: RestartCause): void;
  listed?(kind: string, objects: number, durationMs: number): void;
  invalidLine?(kind: string): void;
  handlerFailed?(kind: string): void;
}

export interface ReflectorOptions<T extends KubeObject> extends Selection {
  client: Pick<KubeClient, "list" | "watch">;
  resource: Resource<T>;
  /** All namespaces when not given. */
  namespace?: string;
  log: Logger;
  clock?: Clock;
  random?: () => number;
  metrics?: ReflectorMetrics;
  /** What of an object is kept; must leave name, namespace, UID, version and labels. Default: all but `managedFields`. */
  keep?(object: T): T;
  /** Lists that ask for a value of this label look at those that have it only, not at all objects. */
  indexedLabel?: string;
  /** Objects a list page. Default 500. */
  pageSize?: number;
  /** Default 300 s, with +-20 % of jitter. */
  watchTimeoutSeconds?: number;
  /** Silence of a watch, bookmarks included, after which it is made anew. Default 75,000 ms. */
  inactivityMs?: number;
  /** Between failing attempts, full jitter. Default 500 ms to 30 s. */
  backoff?: { baseMs: number; capMs: number };
}

/** The reading side of a {@link Reflector}. Objects of the cache are shared: do not change them. */
export interface ReflectorView<T extends KubeObject> {
  /** Resolves when the first list is in the cache and handed out; rejects when closed before. */
  synced(): Promise<void>;
  readonly isSynced: boolean;
  get(namespace: string | undefined, name: string): T | undefined;
  list(selection?: CacheSelection): T[];
  /** Adds a handler, which first gets `added` for everything in the cache; returns its remover. */
  on(handler: DeltaHandler<T>): () => void;
  /** The last fault, `undefined` when the last list and watch went well. */
  readonly lastError: Error | undefined;
}

const DEFAULT_PAGE_SIZE = 500;
const DEFAULT_WATCH_TIMEOUT_SECONDS = 300;
/**
 * The API server sends its first bookmark after 60 s and then one a minute (measured: 60.2, 120.1, 180.0 s; 1.35). A quiet
 * watch that is cut before that never learns a newer version, and the old one ends in 410 and a whole list. A host that
 * vanished is noticed earlier, by TCP keepalive (25 s).
 */
const DEFAULT_INACTIVITY_MS = 75_000;
const DEFAULT_BACKOFF = { baseMs: 500, capMs: 30_000 };
const JITTER = 0.2;
/** A watch that lived this long was healthy: the next failure starts at the base delay again. */
const HEALTHY_WATCH_MS = 5_000;
/** After so many failing watches in a row the version they start from is doubted, and everything is listed again. */
const MAX_FAILED_WATCHES = 5;

/**
 * A live copy of all objects of a kind (in a namespace, with labels): lists them, then watches, for ever. No fault ends it;
 * each is counted, kept in `lastError` and answered by a list or a watch after a growing delay. `metadata.managedFields` is dropped.
 */
export class Reflector<T extends KubeObject> implements ReflectorView<T> {
  readonly #options: ReflectorOptions<T>;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #random: () => number;
  readonly #backoff: Backoff;
  readonly #cache: ObjectCache<T>;
  readonly #feeds = new Set<DeltaFeed<T>>();
  readonly #stop = new AbortController();
  readonly #firstList = Promise.withResolvers<void>();
  #running: Promise<void> | undefined;
  /** Where the next watch starts; `undefined` when a list is due. */
  #resourceVersion: string | undefined;
  #failedWatches = 0;
  #isSynced = false;
  #lastError: Error | undefined;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#cache = new ObjectCache(options.indexedLabel);
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    this.#log = options.log.child({ reflector: options.resource.plural, namespace: options.namespace });
    this.#backoff = new Backoff({ ...(options.backoff ?? DEFAULT_BACKOFF), random: this.#random });
    // Nobody has to wait for it.
    this.#firstList.promise.catch(() => undefined);
  }

  get isSynced(): boolean {
    return this.#isSynced;
  }

  get lastError(): Error | undefined {
    return this.#lastError;
  }

  get size(): number {
    return this.#cache.size;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  synced(): Promise<void> {
    return this.#firstList.promise;
  }

  get(namespace: string | undefined, name: string): T | undefined {
    return this.#cache.get(namespace, name);
  }

  list(selection?: CacheSelection): T[] {
    return this.#cache.list(selection);
  }

  on(handler: DeltaHandler<T>): () => void {
    const feed = new DeltaFeed<T>({ handler, clock: this.#clock, onFailure: (delta, err) => this.#failed(delta, err) });
    this.#feeds.add(feed);
    for (const object of this.#cache.list()) feed.push({ type: "added", object });
    return () => {
      feed.close();
      this.#feeds.delete(feed);
    };
  }

  /** Ends the watch and drops the handlers; what is in the cache stays readable. Resolves when nothing runs any more. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#firstList.reject(new ImError(ErrorCode.INTERNAL, `the reflector of ${this.#kind} was closed`));
    for (const feed of this.#feeds) feed.close();
    this.#feeds.clear();
    await this.#running;
  }

  get #kind(): string {
    return this.#options.resource.kind;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const startedMs = this.#clock.nowMs();
      try {
        if (this.#resourceVersion === undefined) await this.#list();
        else await this.#watch(this.#resourceVersion, startedMs);
      } catch (error) {
        await this.#recover(error);
      }
    }
  }

  async #list(): Promise<void> {
    const { client, resource, namespace, labelSelector, fieldSelector } = this.#options;
    const startedMs = this.#clock.nowMs();
    const limit = this.#options.pageSize ?? DEFAULT_PAGE_SIZE;
    const { signal } = this.#stop;
    const objects: T[] = [];
    let resourceVersion = "";
    let next: string | undefined;
    do {
      const page = await client.list(resource, namespace, {
        labelSelector,
        fieldSelector,
        limit,
        continue: next,
        signal,
      });
      for (const object of page.items) objects.push(this.#kept(object));
      resourceVersion = page.resourceVersion;
      next = page.continue;
    } while (next !== undefined);
    if (signal.aborted) return;
    this.#resourceVersion = resourceVersion;
    this.#failedWatches = 0;
    this.#publish(this.#cache.replace(objects));
    this.#options.metrics?.listed?.(this.#kind, objects.length, this.#clock.nowMs() - startedMs);
    this.#isSynced = true;
    this.#firstList.resolve();
  }

  async #watch(resourceVersion: string, startedMs: number): Promise<void> {
    const { client, resource, namespace, labelSelector, fieldSelector } = this.#options;
    const seconds = this.#options.watchTimeoutSeconds ?? DEFAULT_WATCH_TIMEOUT_SECONDS;
    const events = client.watch(resource, namespace, {
      labelSelector,
      fieldSelector,
      resourceVersion,
      timeoutSeconds: seconds * (1 + JITTER * (2 * this.#random() - 1)),
      inactivityMs: this.#options.inactivityMs ?? DEFAULT_INACTIVITY_MS,
      signal: this.#stop.signal,
    });
    for await (const event of events) {
      if (this.#stop.signal.aborted) return;
      this.#takeEvent(event);
    }
    if (this.#stop.signal.aborted) return;
    this.#options.metrics?.restarted?.(this.#kind, "ended");
    // A server that ends every watch at once must not be asked again at once.
    if (this.#clock.nowMs() - startedMs < HEALTHY_WATCH_MS) await this.#pause(this.#backoff.next());
    else this.#backoff.reset();
  }

  #takeEvent(event: WatchEvent<T>): void {
    switch (event.type) {
      case "INVALID":
        throw new InvalidLine(event.detail);
      case "OPENED":
        this.#lastError = undefined;
        this.#failedWatches = 0;
        return;
      case "BOOKMARK":
        if (this.#isNews(event.resourceVersion)) this.#resourceVersion = event.resourceVersion;
        break;
      default: {
        const object = this.#kept(event.object);
        const { resourceVersion } = object.metadata;
        if (!this.#isNews(resourceVersion)) break;
        this.#resourceVersion = resourceVersion;
        this.#publish(event.type === "DELETED" ? this.#cache.remove(object) : this.#cache.put(object));
      }
    }
    this.#backoff.reset();
  }

  /**
   * Events of a watch come in the order of their versions, all above the one it began at. What is not above the last one
   * was repeated on the way: taken in, it would bring a deleted object back for good.
   */
  #isNews(resourceVersion: string | undefined): boolean {
    return (compareVersions(resourceVersion ?? "", this.#resourceVersion ?? "") ?? 1) > 0;
  }

  #kept(object: T): T {
    const { managedFields: _, ...metadata } = object.metadata;
    const whole = { ...object, metadata };
    return this.#options.keep?.(whole) ?? whole;
  }

  #publish(deltas: readonly Delta<T>[]): void {
    for (const delta of deltas) for (const feed of this.#feeds) feed.push(delta);
  }

  async #recover(error: unknown): Promise<void> {
    if (this.#stop.signal.aborted) return;
    const isList = this.#resourceVersion === undefined;
    const cause = isList ? "list_failed" : causeOf(error);
    this.#lastError = error instanceof Error ? error : new Error(String(error));
    this.#options.metrics?.restarted?.(this.#kind, cause);
    if (cause === "invalid") this.#options.metrics?.invalidLine?.(this.#kind);
    const relists =
      !isList && (cause === "expired" || cause === "invalid" || ++this.#failedWatches > MAX_FAILED_WATCHES);
    if (relists) this.#resourceVersion = undefined;
    const retryAfterMs = error instanceof ImError ? error.retryAfterMs : 0;
    const delayMs = Math.max(retryAfterMs, this.#backoff.next());
    const details = { cause, relists: relists || isList, delayMs };
    // A kind that nobody changes is silent for longer than our bound: it goes on from where it was.
    if (cause === "silent") this.#log.info(details, "watch renewed after silence");
    else this.#log.warn({ err: this.#lastError, ...details }, "watch interrupted");
    await this.#pause(delayMs);
  }

  #pause(delayMs: number): Promise<void> {
    const { signal } = this.#stop;
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        signal.removeEventListener("abort", end);
        resolve();
      };
      const cancel = this.#clock.after(delayMs, end);
      signal.addEventListener("abort", end);
      if (signal.aborted) end();
    });
  }

  #failed(delta: Delta<T>, err: unknown): void {
    this.#options.metrics?.handlerFailed?.(this.#kind);
    this.#log.error({ err, key: keyOf(delta.object), type: delta.type }, "a handler failed; it gets the object again");
  }
}

class InvalidLine extends Error {}

/** A version that is too old (410) or, after etcd was restored, too new needs a list; all else goes on from where it was. */
function causeOf(error: unknown): RestartCause {
  if (error instanceof InvalidLine) return "invalid";
  if (!(error instanceof KubeError)) return "cut";
  if (error.isExpired || error.status === 400 || error.causes.includes("ResourceVersionTooLarge")) return "expired";
  if (error.status === 429) return "throttled";
  if (error.status !== 0) return "refused";
  return error.reason === "Timeout" ? "silent" : "cut";
}
