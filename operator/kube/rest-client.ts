// SPDX-License-Identifier: Apache-2.0
import type { IncomingMessage } from "node:http";
import { KubeConfig } from "@kubernetes/client-node";
import { type Clock, systemClock } from "#lib/clock.ts";
import type {
  ApplyOptions,
  CallOptions,
  CreateOptions,
  DeleteOptions,
  EvictOptions,
  EvictOutcome,
  KubeClient,
  ListOptions,
  Page,
  PatchOptions,
  WatchEvent,
  WatchOptions,
} from "./client.ts";
import { answerError, Connection, type HttpAnswer, type HttpRequest } from "./connection.ts";
import { KubeError } from "./kube-error.ts";
import { collectionPath, objectPath, withQuery } from "./paths.ts";
import type { KubeObject, ObjectMeta, Resource } from "./types.ts";
import { readWatch } from "./watch-events.ts";

const DEFAULT_DEADLINE_MS = 10_000;
const DEFAULT_PAGE_SIZE = 500;
const DEFAULT_FIELD_MANAGER = "im-operator";

/** Options of {@link createKubeClient}. */
export interface RestClientOptions {
  kubeConfig: KubeConfig;
  /** Default `im-operator`. */
  userAgent?: string;
  /** Default `im-operator`; of apply, create and patch. */
  fieldManager?: string;
  /** What the server does with unknown fields. Default `Warn`; tests use `Strict`. */
  fieldValidation?: "Strict" | "Warn" | "Ignore";
  clock?: Clock;
  /** A `Warning` header, for example of a deprecated API. */
  onWarning?(text: string): void;
  /** After each call; `status` 0 when there was no answer. */
  onCall?(call: { method: string; kind: string; status: number; durationMs: number }): void;
}

/** `KUBECONFIG`, else `~/.kube/config`, else the pod's service account; `context` instead of the current one. */
export function loadKubeConfig(options: { path?: string; context?: string } = {}): KubeConfig {
  const kubeConfig = new KubeConfig();
  if (options.path) kubeConfig.loadFromFile(options.path);
  else kubeConfig.loadFromDefault();
  if (options.context) kubeConfig.setCurrentContext(options.context);
  return kubeConfig;
}

export function createKubeClient(options: RestClientOptions): KubeClient {
  return new RestClient(options);
}

class RestClient implements KubeClient {
  readonly #connection: Connection;
  readonly #clock: Clock;
  readonly #fieldManager: string;
  readonly #fieldValidation: string;
  readonly #hooks: Pick<RestClientOptions, "onCall" | "onWarning">;

  constructor(options: RestClientOptions) {
    this.#clock = options.clock ?? systemClock;
    this.#connection = new Connection({
      kubeConfig: options.kubeConfig,
      userAgent: options.userAgent ?? "im-operator",
      clock: this.#clock,
    });
    this.#fieldManager = options.fieldManager ?? DEFAULT_FIELD_MANAGER;
    this.#fieldValidation = options.fieldValidation ?? "Warn";
    this.#hooks = options;
  }

  async get<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
    options: CallOptions = {},
  ): Promise<T | undefined> {
    const answer = await this.#call(resource, { method: "GET", path: objectPath(resource, namespace, name) }, options);
    return answer.status === 404 ? undefined : parse<T>(answer, resource);
  }

  async list<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    options: ListOptions = {},
  ): Promise<Page<T>> {
    const path = withQuery(collectionPath(resource, namespace), {
      labelSelector: options.labelSelector,
      fieldSelector: options.fieldSelector,
      limit: options.limit ?? DEFAULT_PAGE_SIZE,
      continue: options.continue,
    });
    const answer = await this.#call(resource, { method: "GET", path }, options);
    const list = parse<{ metadata: { resourceVersion?: string; continue?: string }; items?: T[] }>(answer, resource);
    // The server leaves these two out of the items of a list.
    const stamp = { apiVersion: resource.apiVersion, kind: resource.kind };
    return {
      items: (list.items ?? []).map((item) => Object.assign(item, stamp)),
      resourceVersion: list.metadata.resourceVersion ?? "",
      continue: list.metadata.continue || undefined,
    };
  }

  async create<T extends KubeObject>(
    resource: Resource<T>,
    object: T,
    options: CreateOptions = {},
  ): Promise<T | "exists"> {
    const path = withQuery(collectionPath(resource, requiredNamespace(resource, object.metadata)), {
      dryRun: options.dryRun ? "All" : undefined,
      fieldManager: this.#fieldManager,
      fieldValidation: this.#fieldValidation,
    });
    const answer = await this.#call(resource, { method: "POST", path, ...json(stamped(resource, object)) }, options);
    if (answer.status === 409) {
      const error = answerError(answer, `create ${resource.kind} ${object.metadata.name}`);
      if (error.reason === "AlreadyExists") return "exists";
      throw error;
    }
    return parse<T>(answer, resource);
  }

  async apply<T extends KubeObject>(resource: Resource<T>, object: T, options: ApplyOptions = {}): Promise<T> {
    return parse<T>(await this.#apply(resource, object, options, undefined), resource);
  }

  async applyStatus<T extends KubeObject>(
    resource: Resource<T>,
    object: Pick<T, "metadata"> & { status: unknown },
    options: ApplyOptions = {},
  ): Promise<T | undefined> {
    const { namespace, name, uid, resourceVersion } = object.metadata;
    const body = { metadata: { namespace, name, uid, resourceVersion }, status: object.status };
    const answer = await this.#apply(resource, body, options, "status");
    return answer.status === 404 ? undefined : parse<T>(answer, resource);
  }

  async patchMerge<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    name: string,
    patch: object,
    options: PatchOptions = {},
  ): Promise<T | undefined> {
    const path = withQuery(objectPath(resource, namespace, name, options.subresource), {
      dryRun: options.dryRun ? "All" : undefined,
      fieldManager: options.fieldManager ?? this.#fieldManager,
    });
    const request = { method: "PATCH", path, ...json(patch, "application/merge-patch+json") } as const;
    const answer = await this.#call(resource, request, options);
    return answer.status === 404 ? undefined : parse<T>(answer, resource);
  }

  async delete(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    options: DeleteOptions = {},
  ): Promise<"deleted" | "gone" | "conflict"> {
    const body = {
      apiVersion: "v1",
      kind: "DeleteOptions",
      propagationPolicy: options.propagationPolicy ?? "Background",
      gracePeriodSeconds: options.gracePeriodSeconds,
      preconditions: { uid: options.uid, resourceVersion: options.resourceVersion },
    };
    const request = { method: "DELETE", path: objectPath(resource, namespace, name), ...json(body) } as const;
    const answer = await this.#call(resource, request, options);
    if (answer.status === 404) return "gone";
    if (answer.status === 409) return "conflict";
    if (!isSuccess(answer)) throw answerError(answer, `delete ${resource.kind} ${name}`);
    return "deleted";
  }

  async evict(namespace: string, podName: string, options: EvictOptions = {}): Promise<EvictOutcome> {
    const pods: Resource = { apiVersion: "v1", kind: "Pod", plural: "pods", namespaced: true };
    const body = {
      apiVersion: "policy/v1",
      kind: "Eviction",
      metadata: { namespace, name: podName },
      deleteOptions: {
        gracePeriodSeconds: options.gracePeriodSeconds,
        preconditions: options.uid ? { uid: options.uid } : undefined,
        dryRun: options.dryRun ? ["All"] : undefined,
      },
    };
    const path = objectPath(pods, namespace, podName, "eviction");
    const answer = await this.#call(pods, { method: "POST", path, ...json(body) }, options);
    if (answer.status === 404) return "gone";
    if (answer.status === 409) return "conflict";
    // Without the cause it is the API server's own overload protection, which says nothing of the pod.
    if (answer.status === 429 && !isOverload(answer)) return "blocked";
    if (!isSuccess(answer)) throw answerError(answer, `evict ${namespace}/${podName}`);
    return "evicted";
  }

  async *watch<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string | undefined,
    options: WatchOptions,
  ): AsyncGenerator<WatchEvent<T>, void, undefined> {
    const { signal, inactivityMs } = options;
    if (signal?.aborted) return;
    const path = withQuery(collectionPath(resource, namespace), {
      watch: "true",
      allowWatchBookmarks: "true",
      resourceVersion: options.resourceVersion,
      timeoutSeconds: Math.max(1, Math.round(options.timeoutSeconds)),
      labelSelector: options.labelSelector,
      fieldSelector: options.fieldSelector,
    });
    const deadlineMs = Math.min(DEFAULT_DEADLINE_MS, inactivityMs);
    let response: IncomingMessage;
    try {
      response = await this.#connection.stream(path, deadlineMs, signal);
    } catch (error) {
      if (signal?.aborted) return;
      throw error;
    }
    yield* readWatch<T>(response, { clock: this.#clock, inactivityMs, signal, context: `watch ${resource.plural}` });
  }

  async raw(path: string, options: CallOptions = {}): Promise<string> {
    const answer = await this.#call({ kind: "raw" }, { method: "GET", path }, options);
    if (!isSuccess(answer)) throw answerError(answer, `GET ${path}`);
    return answer.body;
  }

  close(): void {
    this.#connection.close();
  }

  async #apply(
    resource: Resource,
    object: { metadata: ObjectMeta },
    options: ApplyOptions,
    subresource: "status" | undefined,
  ): Promise<HttpAnswer> {
    const { namespace, name } = object.metadata;
    const path = withQuery(objectPath(resource, namespace, name, subresource), {
      fieldManager: options.fieldManager ?? this.#fieldManager,
      force: options.force ?? true,
      fieldValidation: this.#fieldValidation,
    });
    // Server-side apply refuses an object that carries these.
    const { managedFields: _, ...metadata } = object.metadata;
    const body = stamped(resource, { ...object, metadata });
    return await this.#call(
      resource,
      { method: "PATCH", path, ...json(body, "application/apply-patch+yaml") },
      options,
    );
  }

  async #call(
    resource: Pick<Resource, "kind">,
    request: Omit<HttpRequest, "deadlineMs">,
    options: CallOptions,
  ): Promise<HttpAnswer> {
    const startedMs = this.#clock.nowMs();
    const deadlineMs = options.deadlineMs ?? DEFAULT_DEADLINE_MS;
    let status = 0;
    try {
      const answer = await this.#connection.request({ ...request, deadlineMs, signal: options.signal });
      status = answer.status;
      for (const warning of answer.warnings) this.#hooks.onWarning?.(warning);
      return answer;
    } finally {
      const durationMs = this.#clock.nowMs() - startedMs;
      this.#hooks.onCall?.({ method: request.method, kind: resource.kind, status, durationMs });
    }
  }
}

function stamped<T extends object>(resource: Resource, object: T): T {
  return { ...object, apiVersion: resource.apiVersion, kind: resource.kind };
}

function json(body: object, contentType = "application/json"): { body: string; contentType: string } {
  return { body: JSON.stringify(body), contentType };
}

function requiredNamespace(resource: Resource, metadata: ObjectMeta): string | undefined {
  if (!resource.namespaced) return undefined;
  if (!metadata.namespace) throw new TypeError(`${resource.kind} ${metadata.name} needs a namespace`);
  return metadata.namespace;
}

function isSuccess(answer: HttpAnswer): boolean {
  return answer.status >= 200 && answer.status < 300;
}

/** A 429 of priority and fairness is plain text; those of budgets and webhooks are a Status object. */
function isOverload(answer: HttpAnswer): boolean {
  return !answer.body.trimStart().startsWith("{");
}

function parse<R>(answer: HttpAnswer, resource: Resource): R {
  if (!isSuccess(answer)) throw answerError(answer, resource.kind);
  try {
    return JSON.parse(answer.body) as R;
  } catch (cause) {
    throw new KubeError(0, "InvalidBody", `${resource.kind}: the answer is no JSON`, { cause });
  }
}
