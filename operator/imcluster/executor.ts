// SPDX-License-Identifier: Apache-2.0

import { randomInt } from "node:crypto";
import type { Clock } from "#lib/clock.ts";
import { assertNever, toImError } from "#lib/errors.ts";
import { inTurns } from "#lib/in-turns.ts";
import type { Logger } from "#lib/logger.ts";
import { IM_CLUSTER } from "../api/resource.ts";
import type { ImCluster } from "../api/v1alpha1.ts";
import type { KubeClient } from "../kube/client.ts";
import { KubeError } from "../kube/kube-error.ts";
import { controllerReference, hasFinalizer } from "../kube/owner.ts";
import {
  CONFIG_MAPS,
  type ConfigMap,
  type KubeObject,
  PODS,
  type Pod,
  type Resource,
  SECRETS,
  type Secret,
} from "../kube/types.ts";
import type { Caches } from "./caches.ts";
import { type DrainIntent, isPlanned } from "./drain.ts";
import { DrainCalls } from "./drain-calls.ts";
import { endpointHint } from "./endpoint-hint.ts";
import type { EntryAction } from "./entry-plan.ts";
import type { ClusterEvents } from "./events.ts";
import type { Fleet, FleetIdentity } from "./fleet-client.ts";
import { ANNOTATION, FINALIZER, LABEL, LEAVING } from "./names.ts";
import type { ObjectReader } from "./object-reader.ts";
import type { ClusterMemory } from "./observe.ts";
import type { ObservedEntry } from "./observed.ts";
import type { ObservedCluster } from "./observed-cluster.ts";
import type { Action } from "./plan.ts";
import { entryPod, entryPodLike } from "./resources/entry-pod.ts";
import { makeSecret } from "./secret-content.ts";
import { tlsFingerprint } from "./secrets.ts";
import { isPurgeForced } from "./wanted.ts";

export interface ExecutorOptions {
  client: KubeClient;
  caches: Caches;
  secrets: ObjectReader<Secret>;
  configMaps: ObjectReader<ConfigMap>;
  fleet: Fleet;
  events: ClusterEvents;
  clock: Clock;
  log: Logger;
  /** After each action that changed something. */
  onAction?(kind: Action["kind"]): void;
  /** A drain has ended, and its pod was let go. */
  onDrained?(cluster: ImCluster, intent: DrainIntent): void;
}

/** What became of a list of actions. */
export interface PassResult {
  /** Something was written or done: the next observation will differ. */
  hasProgress: boolean;
  /** Refused or failed writes and calls: when to try again is for the caller to say, who knows how often they failed. */
  errors: string[];
  waits: string[];
  /** Shortest of the waits. */
  waitMs: number | undefined;
  /** The API server is overloaded: nothing before this. */
  pauseMs?: number;
  /** One of the errors may pass by itself. */
  isRetryable: boolean;
}

export interface Pass {
  observed: ObservedCluster;
  memory: ClusterMemory;
  who: FleetIdentity | undefined;
  /** Monotonic: after this the pass waits for no answer of logic any more. */
  slowUntilMs: number;
  /** Where clients of entries that drain go best. */
  endpoints: readonly string[];
}

/** `done`: something changed. `unchanged`: it was so already. `later`: it could not be done now, an expected outcome. */
export type Outcome = "done" | "unchanged" | "later";

const SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789";
/** The API server may ask for a longer pause; but entries that drain wait for their next lease. */
const MAX_PAUSE_MS = 5_000;
/** After an expected "not now". */
const LATER_MS = 500;
const CALLS_AT_ONCE = 20;
/** Logic answers in less when all is well. */
const SLOW_WAIT_MS = 500;
/** New pods that are asked for at the same time, at most. */
const CREATES_AT_ONCE = 16;

type Step = Exclude<Action, { kind: "wait" }>;
type Lane = "entry" | "logic" | "write";

/** Whom an action calls. */
function laneOf({ kind }: Action): Lane | undefined {
  switch (kind) {
    case "wait":
      return undefined;
    case "cordon":
    case "drain":
    case "force":
    case "setCordoned":
      return "entry";
    case "purge":
    case "verify":
      return "logic";
    default:
      return "write";
  }
}

/** Up to `width` new pods from there on, or the one write that is there. */
function groupAt(writes: readonly Step[], at: number, width: number): readonly Step[] {
  let end = at;
  while (end < at + width && writes[end]?.kind === "createEntry") end++;
  return writes.slice(at, Math.max(end, at + 1));
}

function waitAtMost(result: PassResult, ms: number): void {
  result.waitMs = Math.min(result.waitMs ?? ms, ms);
}

/** Carries out a plan: one API call or RPC an action. */
export class Executor {
  readonly #options: ExecutorOptions;
  readonly #drainCalls: DrainCalls;

  constructor(options: ExecutorOptions) {
    this.#options = options;
    this.#drainCalls = new DrainCalls(options.fleet, options.clock);
  }

  /**
   * Calls to entries first, all together: their clients wait for the next lease. Then the writes, one after the other but for new
   * pods, while logic is asked. Goes on after a failed action, unless the API server cannot be reached or asks for a pause: the
   * others do not depend on it.
   */
  async run(actions: readonly Action[], given: Omit<Pass, "slowUntilMs" | "endpoints">): Promise<PassResult> {
    const result: PassResult = { hasProgress: false, errors: [], waits: [], waitMs: undefined, isRetryable: false };
    for (const action of actions) {
      if (action.kind !== "wait") continue;
      result.waits.push(action.reason);
      waitAtMost(result, action.afterMs);
    }
    const of = (lane: Lane) => actions.filter((action): action is Step => laneOf(action) === lane);
    const slowUntilMs = this.#options.clock.nowMs() + SLOW_WAIT_MS;
    const pass: Pass = { ...given, slowUntilMs, endpoints: endpointHint(given.observed.entries) };
    const call = async (action: Step) => void (await this.#try(action, pass, result));
    await inTurns(of("entry"), CALLS_AT_ONCE, call);
    if (await this.#drainCalls.shed(pass)) {
      result.waits.push("entries with more clients than others ask some of them to reconnect");
      waitAtMost(result, LATER_MS);
    }
    const asked = inTurns(of("logic"), CALLS_AT_ONCE, call);
    await this.#write(of("write"), pass, result);
    await asked;
    return result;
  }

  /**
   * New pods side by side: one, then twice as many each time that all of them were made. What would refuse a hundred (a quota, a
   * webhook) refuses one; the rest waits for the next pass.
   */
  async #write(writes: readonly Step[], pass: Pass, result: PassResult): Promise<void> {
    let width = 1;
    for (let at = 0; at < writes.length; ) {
      const group = groupAt(writes, at, width);
      at += group.length;
      const failedBefore = result.errors.length;
      const goesOn = await Promise.all(group.map((action) => this.#try(action, pass, result)));
      if (goesOn.includes(false)) return;
      if (group[0]?.kind !== "createEntry") continue;
      const isRefused = result.errors.length > failedBefore;
      while (isRefused && writes[at]?.kind === "createEntry") at++;
      width = Math.min(2 * width, CREATES_AT_ONCE);
    }
  }

  /** @returns false when there is no point in going on */
  async #try(action: Step, pass: Pass, result: PassResult): Promise<boolean> {
    try {
      const outcome = await this.#perform(action, pass);
      if (outcome === "done") result.hasProgress = true;
      if (outcome === "later") waitAtMost(result, LATER_MS);
      if (outcome === "done") this.#report(action, pass);
      return true;
    } catch (thrown) {
      return this.#note(thrown, action, result);
    }
  }

  /** @returns false when there is no point in going on */
  #note(thrown: unknown, action: Action, result: PassResult): boolean {
    const error = toImError(thrown);
    // Somebody wrote in between: the next observation has the news. No error for anybody to see.
    if (error instanceof KubeError && error.isConflict) {
      waitAtMost(result, LATER_MS);
      return true;
    }
    this.#options.log.warn({ err: error, action: action.kind, why: action.reason }, "action failed");
    result.errors.push(`${action.reason}: ${error.message}`);
    result.isRetryable ||= error.retryable;
    if (!(error instanceof KubeError)) return true;
    if (error.status === 429) result.pauseMs = Math.min(MAX_PAUSE_MS, Math.max(LATER_MS, error.retryAfterMs));
    return error.status !== 0 && error.status !== 429;
  }

  #report(action: Action, { observed }: Pass): void {
    this.#options.log.info({ cluster: observed.cluster.metadata.name, action: action.kind }, action.reason);
    this.#options.onAction?.(action.kind);
    if (action.kind === "release") this.#options.onDrained?.(observed.cluster, action.intent);
    this.#options.events.onAction(observed.cluster, action);
  }

  #perform(action: Step, pass: Pass): Promise<Outcome> {
    const { observed } = pass;
    switch (action.kind) {
      case "addFinalizer":
        return this.#addFinalizer(observed);
      case "makeSecret":
        return this.#makeSecret(action, observed);
      case "apply":
        return this.#apply(action.resource, action.object);
      case "create":
        return this.#create(action.resource, action.object);
      case "delete":
        return this.#delete(action.resource, action.object);
      case "createEntry":
        return this.#createEntry(observed, action.like?.pod);
      case "touchTls":
        return this.#patchPod(action.entry, { annotations: { [ANNOTATION.tlsFingerprint]: action.fingerprint } });
      default:
        return this.#performOnEntry(action, pass);
    }
  }

  #performOnEntry(action: Exclude<EntryAction, { kind: "wait" | "createEntry" }>, pass: Pass): Promise<Outcome> {
    const { entry } = action;
    switch (action.kind) {
      case "adopt":
        return this.#patchPod(entry, { ownerReferences: [controllerReference(IM_CLUSTER, pass.observed.cluster)] });
      case "setDrain":
        // Whoever has old news must not turn a drain back.
        return this.#patchPod(entry, {
          resourceVersion: entry.pod.metadata.resourceVersion,
          labels: { [LABEL.lifecycle]: LEAVING },
          annotations: { [ANNOTATION.drain]: JSON.stringify(action.intent) },
        });
      case "release":
        return this.#release(entry, action.intent);
      case "deletePod":
        return this.#deletePod(entry.pod);
      case "cordon":
      case "drain":
      case "force":
        return this.#drainCalls.ask(action.kind, entry, action.intent, pass);
      case "setCordoned":
        return this.#drainCalls.setCordoned(entry, action.isCordoned, pass);
      case "abortDrain":
        return this.#abort(entry, action.intent, pass);
      case "purge":
      case "verify": {
        const isForced = isPlanned(action.intent.reason) || isPurgeForced(pass.observed.cluster);
        return this.#drainCalls[action.kind](entry, isForced, pass);
      }
      default:
        return assertNever(action);
    }
  }

  async #addFinalizer({ cluster }: ObservedCluster): Promise<Outcome> {
    if (hasFinalizer(cluster, FINALIZER.cluster)) return "unchanged";
    const { uid, resourceVersion, namespace, name, finalizers = [] } = cluster.metadata;
    const metadata = { uid, resourceVersion, finalizers: [...finalizers, FINALIZER.cluster] };
    const written = await this.#options.client.patchMerge(IM_CLUSTER, namespace, name, { metadata });
    if (written) this.#options.caches.clusters.wrote(written);
    return written ? "done" : "later";
  }

  async #makeSecret({ need }: Action & { kind: "makeSecret" }, observed: ObservedCluster): Promise<Outcome> {
    const { client, secrets, clock } = this.#options;
    const { cluster, addresses, context } = observed;
    const { clusterDomain } = context.config;
    const wanted = makeSecret(need, {
      cluster,
      addresses,
      secrets: observed.secrets,
      clusterDomain,
      nowMs: clock.wallMs(),
    });
    const written = need.replaces ? await client.apply(SECRETS, wanted) : await client.create(SECRETS, wanted);
    if (written === "exists") {
      secrets.forget(context.namespace, need.name);
      return "later";
    }
    secrets.wrote(written);
    return "done";
  }

  async #apply<T extends KubeObject>(resource: Resource<T>, object: T): Promise<Outcome> {
    const { client, caches, configMaps } = this.#options;
    const written = await client.apply(resource, object);
    // The one owned kind that is not watched: there may be many of it that are none of our business.
    if (resource.plural === CONFIG_MAPS.plural) configMaps.wrote(written);
    else caches.owned(resource).wrote(written);
    return "done";
  }

  async #create<T extends KubeObject>(resource: Resource<T>, object: T): Promise<Outcome> {
    const written = await this.#options.client.create(resource, object);
    if (written === "exists") return "later";
    this.#options.caches.owned(resource).wrote(written);
    return "done";
  }

  async #delete(resource: Resource, object: KubeObject): Promise<Outcome> {
    const { namespace, name, uid = "" } = object.metadata;
    const outcome = await this.#options.client.delete(resource, namespace, name, { uid });
    if (outcome === "conflict") return "later";
    const view = this.#options.caches.owned(resource);
    if (outcome === "gone") view.gone(object);
    else view.removed(object);
    return "done";
  }

  async #createEntry(observed: ObservedCluster, like: Pod | undefined): Promise<Outcome> {
    const { client, caches } = this.#options;
    const suffix = Array.from({ length: 5 }, () => SUFFIX_LETTERS[randomInt(SUFFIX_LETTERS.length)]).join("");
    const fingerprint = tlsFingerprint(observed.cluster, observed.secrets);
    const pod = like ? entryPodLike(observed.context, suffix, like) : entryPod(observed.context, suffix);
    pod.metadata.annotations = { ...pod.metadata.annotations, [ANNOTATION.tlsFingerprint]: fingerprint };
    try {
      const written = await client.create(PODS, pod);
      if (written === "exists") return "later";
      caches.pods.wrote(written);
      return "done";
    } catch (error) {
      // It may be there, and its name is known to nobody else: another one would be one too many.
      if (toImError(error).retryable) caches.pods.unsure(pod);
      throw error;
    }
  }

  /** Only this incarnation of the pod. */
  async #patchPod({ pod }: ObservedEntry, metadata: object): Promise<Outcome> {
    const { namespace, name, uid } = pod.metadata;
    const { client, caches } = this.#options;
    try {
      const written = await client.patchMerge(PODS, namespace, name, { metadata: { uid, ...metadata } });
      if (written) caches.pods.wrote(written);
      else caches.pods.gone(pod);
      return written ? "done" : "later";
    } catch (error) {
      if (error instanceof KubeError && error.isConflict) caches.pods.outdated(pod);
      throw error;
    }
  }

  /** The finalizer goes and the phase is recorded in one write; other finalizers stay. */
  async #release(entry: ObservedEntry, intent: DrainIntent): Promise<Outcome> {
    const { finalizers = [], resourceVersion } = entry.pod.metadata;
    return this.#patchPod(entry, {
      resourceVersion,
      annotations: { [ANNOTATION.drain]: JSON.stringify(intent) },
      finalizers: finalizers.filter((finalizer) => finalizer !== FINALIZER.entry),
    });
  }

  async #deletePod(pod: Pod): Promise<Outcome> {
    const { namespace, name, uid = "" } = pod.metadata;
    const outcome = await this.#options.client.delete(PODS, namespace, name, { uid });
    if (outcome === "conflict") return "later";
    if (outcome === "gone") this.#options.caches.pods.gone(pod);
    else this.#options.caches.pods.removed(pod);
    return "done";
  }

  /** The entry must take connections again before the intent goes: a restart in between then only repeats the call. */
  async #abort(entry: ObservedEntry, intent: DrainIntent, pass: Pass): Promise<Outcome> {
    const isTold = entry.hasStarted && intent.phase !== "Planned";
    if (isTold && !(await this.#drainCalls.uncordon(entry, intent, pass))) return "later";
    return this.#patchPod(entry, {
      resourceVersion: entry.pod.metadata.resourceVersion,
      labels: { [LABEL.lifecycle]: null },
      annotations: { [ANNOTATION.drain]: null },
    });
  }
}
