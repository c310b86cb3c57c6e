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
import { ResumePoint } from "./resume-point.ts";
import type { KubeObject, Resource } from "./types.ts";

export type { CacheSelection, Delta, DeltaHandler };

/** Why a list or a watch was started again: a metric label. `ended` is the normal end after `timeoutSeconds`. */
export type RestartCause =
  | "ended"
  | "expired"
  | "silent"
  | "cut"
  | "throttled"
  | "refused"
  | "invalid"
  | "list_failed"
  | "list_stale";

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
/** A list older than what was seen comes from a cache that lags; so many in a row, and etcd was restored from a backup. */
const MAX_STALE_LISTS = 6;

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
  #resume: ResumePoint | undefined;
  /** The newest version of a list or an event so far. */
  #newestSeen = "";
  #staleLists = 0;
  #failedWatches = 0;
  /** Since when the present watch is open, monotonic; `undefined` while there is none. */
  #openedAtMs: number | undefined;
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
      this.#openedAtMs = undefined;
      try {
        if (this.#resume === undefined) await this.#list();
        else await this.#watch(this.#resume);
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
    this.#refuseStale(resourceVersion);
    this.#resume = new ResumePoint(resourceVersion);
    this.#newestSeen = resourceVersion;
    this.#failedWatches = 0;
    this.#publish(this.#cache.replace(objects, resourceVersion));
    this.#options.metrics?.listed?.(this.#kind, objects.length, this.#clock.nowMs() - startedMs);
    this.#isSynced = true;
    this.#firstList.resolve();
  }

  /** Taking an older state for the present one would undo what was seen: pods come back, and others are missing. */
  #refuseStale(resourceVersion: string): void {
    const isStale = (compareVersions(resourceVersion, this.#newestSeen) ?? 0) < 0;
    if (isStale && ++this.#staleLists < MAX_STALE_LISTS) throw new StaleList(resourceVersion, this.#newestSeen);
    this.#staleLists = 0;
  }

  async #watch(resume: ResumePoint): Promise<void> {
    const { client, resource, namespace, labelSelector, fieldSelector } = this.#options;
    const seconds = this.#options.watchTimeoutSeconds ?? DEFAULT_WATCH_TIMEOUT_SECONDS;
    const events = client.watch(resource, namespace, {
      labelSelector,
      fieldSelector,
      resourceVersion: resume.newest,
      timeoutSeconds: seconds * (1 + JITTER * (2 * this.#random() - 1)),
      inactivityMs: this.#options.inactivityMs ?? DEFAULT_INACTIVITY_MS,
      signal: this.#stop.signal,
    });
    for await (const event of events) {
      if (this.#stop.signal.aborted) return;
      this.#takeEvent(event, resume);
    }
    if (this.#stop.signal.aborted) return;
    this.#options.metrics?.restarted?.(this.#kind, "ended");
    // A server that ends every watch at once must not be asked again at once.
    if (!this.#livedLong()) await this.#pause(this.#backoff.next());
    else this.#backoff.reset();
  }

  #livedLong(): boolean {
    return this.#openedAtMs !== undefined && this.#clock.nowMs() - this.#openedAtMs >= HEALTHY_WATCH_MS;
  }

  #takeEvent(event: WatchEvent<T>, resume: ResumePoint): void {
    switch (event.type) {
      case "INVALID":
        throw new InvalidLine(event.detail);
      case "OPENED":
        this.#lastError = undefined;
        this.#failedWatches = 0;
        this.#openedAtMs = this.#clock.nowMs();
        return;
      case "BOOKMARK":
        this.#advance(event.resourceVersion, resume);
        return;
      default: {
        const object = this.#kept(event.object);
        this.#advance(object.metadata.resourceVersion ?? "", resume);
        // Whatever came twice or late on the way, the cache takes the newest of each object.
        this.#publish(event.type === "DELETED" ? this.#cache.remove(object) : this.#cache.put(object));
      }
    }
  }

  #advance(resourceVersion: string, resume: ResumePoint): void {
    resume.advance(resourceVersion, this.#clock.nowMs());
    // A watch that only repeats what is known does not get on: its next failure has to wait longer.
    if ((compareVersions(resourceVersion, this.#newestSeen) ?? 1) <= 0) return;
    this.#newestSeen = resourceVersion;
    this.#backoff.reset();
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
    const isList = this.#resume === undefined;
    const cause = isList ? listCauseOf(error) : causeOf(error);
    this.#lastError = error instanceof Error ? error : new Error(String(error));
    this.#options.metrics?.restarted?.(this.#kind, cause);
    if (cause === "invalid") this.#options.metrics?.invalidLine?.(this.#kind);
    const relists =
      !isList && (cause === "expired" || cause === "invalid" || ++this.#failedWatches > MAX_FAILED_WATCHES);
    this.#resume = relists || !this.#resume ? undefined : new ResumePoint(this.#resume.safe);
    // A quiet kind whose watches are cut now and then must not be deaf for longer and longer.
    if (this.#livedLong() || (cause === "silent" && this.#openedAtMs !== undefined)) this.#backoff.reset();
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

class StaleList extends Error {
  constructor(resourceVersion: string, seen: string) {
    super(`the list is of version ${resourceVersion}, and ${seen} was seen already`);
  }
}

function listCauseOf(error: unknown): RestartCause {
  return error instanceof StaleList ? "list_stale" : "list_failed";
}

/** A version that is too old (410) or, after etcd was restored, too new needs a list; all else goes on from where it was. */
function causeOf(error: unknown): RestartCause {
  if (error instanceof InvalidLine) return "invalid";
  if (!(error instanceof KubeError)) return "cut";
  if (error.isExpired || error.status === 400 || error.causes.includes("ResourceVersionTooLarge")) return "expired";
  if (error.status === 429) return "throttled";
  if (error.status !== 0) return "refused";
  return error.reason === "Timeout" ? "silent" : "cut";
}
