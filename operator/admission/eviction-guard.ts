// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { toImError } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import type { ImCluster } from "../api/v1alpha1.ts";
import { ANNOTATION } from "../imcluster/names.ts";
import type { KubeClient } from "../kube/client.ts";
import { PODS, type Pod } from "../kube/types.ts";
import { judgeEviction } from "./eviction-judge.ts";
import type { Review } from "./review.ts";

/** What the guard must know of the fleet. */
export interface FleetView {
  pod(namespace: string, name: string): Pod | undefined;
  /** The ImCluster that a pod belongs to. */
  clusterOf(pod: Pod): ImCluster | undefined;
}

export interface EvictionGuardOptions {
  client: KubeClient;
  fleet: FleetView;
  clock: Clock;
  log: Logger;
  onAnswer?(answer: "allowed" | "refused"): void;
}

/** Which pod, and whether anything may be written for it. */
export type EvictionRequest = Pick<Review, "namespace" | "name" | "isDryRun">;

/** The API server waits 5 s for the whole answer. */
const ASK_DEADLINE_MS = 3_000;

/**
 * Answers whether a pod may be evicted. The answer to the first question begins the drain: whoever leads sees the annotation. Runs
 * in every replica, and remembers nothing.
 */
export class EvictionGuard {
  readonly #options: EvictionGuardOptions;

  constructor(options: EvictionGuardOptions) {
    this.#options = options;
  }

  /** Why it may not be evicted yet; `undefined` when it may. */
  async refuse({ namespace, name, isDryRun }: EvictionRequest): Promise<string | undefined> {
    const { fleet, clock, log, onAnswer } = this.#options;
    const pod = fleet.pod(namespace, name);
    const verdict = judgeEviction(pod, pod && fleet.clusterOf(pod), clock.wallMs());
    onAnswer?.(verdict.kind === "allow" ? "allowed" : "refused");
    if (verdict.kind === "allow") {
      log.info({ namespace, pod: name, because: verdict.because }, "eviction allowed");
      return undefined;
    }
    log.info({ namespace, pod: name, isDryRun }, `eviction refused: ${verdict.message}`);
    if (verdict.asks && !isDryRun && pod) await this.#ask(pod);
    return verdict.message;
  }

  async #ask({ metadata }: Pod): Promise<void> {
    const { client, clock, log } = this.#options;
    const { namespace, name, uid } = metadata;
    const annotations = {
      // What a person has asked for stays: it may be more than a drain.
      [ANNOTATION.drainRequest]: metadata.annotations?.[ANNOTATION.drainRequest] ?? "Evicted",
      [ANNOTATION.drainRequestedAt]: new Date(clock.wallMs()).toISOString(),
    };
    try {
      const options = { deadlineMs: ASK_DEADLINE_MS };
      await client.patchMerge(PODS, namespace, name, { metadata: { uid, annotations } }, options);
    } catch (thrown) {
      // Whoever evicts asks again in a few seconds, and so does this.
      log.warn({ err: toImError(thrown), namespace, pod: name }, "could not ask for a drain");
    }
  }
}

/** `undefined` when the review is about something else. */
export function evictionIn({ namespace, name, subResource, isDryRun, object }: Review): EvictionRequest | undefined {
  if (subResource !== "eviction") return undefined;
  return { namespace, name, isDryRun: isDryRun || isDryEviction(object) };
}

/** An Eviction may say so itself, in the options of the deletion that it leads to; the API server does not repeat it. */
function isDryEviction(eviction: unknown): boolean {
  const { deleteOptions } = (eviction ?? {}) as { deleteOptions?: { dryRun?: unknown } | null };
  return Array.isArray(deleteOptions?.dryRun) && deleteOptions.dryRun.length > 0;
}
