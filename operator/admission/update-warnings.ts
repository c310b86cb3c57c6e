// SPDX-License-Identifier: Apache-2.0
import { toImError } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import type { ImCluster, ImClusterSpec } from "../api/v1alpha1.ts";
import { previewPlan } from "../imcluster/preview.ts";
import { isPaused, wantedBy } from "../imcluster/wanted.ts";
import type { Review, Verdict } from "./review.ts";

/** What an edit does to those who are connected, a sentence each; none when nobody has to move, or nobody knows how many there are. Pure. */
export function updateWarnings(cluster: ImCluster, spec: ImClusterSpec): string[] {
  if (cluster.metadata.deletionTimestamp) return [];
  const { sessionsAffected, estimatedSeconds, peakReconnectsPerSecond, needsApproval } = previewPlan(cluster, spec);
  if (sessionsAffected === 0) return [];
  const sessions = `${figure(sessionsAffected)} ${sessionsAffected === 1 ? "session" : "sessions"}`;
  if (wantedBy(cluster, spec) === 0)
    return [`${sessions} will be closed, and cannot come back before there are entries again`];
  const time = `within about ${roughly(estimatedSeconds)}, at most ${figure(peakReconnectsPerSecond)} per second`;
  return [
    `${sessions} will reconnect ${time}`,
    ...(needsApproval ? ["the update waits until a person approves it: see spec.entry.update.approval"] : []),
    ...(isPaused({ ...cluster, spec }) ? ["nothing happens while the ImCluster is paused"] : []),
  ];
}

/** Who knows the ImClusters as they are. */
export interface KnownClusters {
  cluster(namespace: string, name: string): ImCluster | undefined;
}

/** Warns of updates of ImClusters, of the object and of its scale. Never refuses. */
export class UpdateAdviser {
  readonly #clusters: KnownClusters;
  readonly #log: Logger;

  constructor(clusters: KnownClusters, log: Logger) {
    this.#clusters = clusters;
    this.#log = log;
  }

  /** `undefined` for a review of anything else. */
  advise(review: Review): Verdict | undefined {
    const { subResource, namespace, name } = review;
    if (subResource !== "" && subResource !== "scale") return undefined;
    try {
      return { warnings: subResource === "scale" ? this.#ofScale(review) : ofObject(review) };
    } catch (thrown) {
      // For example an object of another version of the operator: to say nothing is better than to fail.
      this.#log.warn({ err: toImError(thrown), namespace, name }, "cannot tell what an update costs");
      return {};
    }
  }

  /** A Scale has nothing but the number. */
  #ofScale({ namespace, name, object }: Review): string[] {
    const cluster = this.#clusters.cluster(namespace, name);
    const { replicas } = (object as { spec?: { replicas?: unknown } } | undefined)?.spec ?? {};
    if (!cluster || typeof replicas !== "number") return [];
    return updateWarnings(cluster, { ...cluster.spec, entry: { ...cluster.spec.entry, replicas } });
  }
}

/** The API server sends both with their defaults, the old one with its status. */
function ofObject({ object, oldObject }: Review): string[] {
  const { spec } = (object ?? {}) as Partial<ImCluster>;
  const before = oldObject as ImCluster | undefined;
  return before?.spec && spec ? updateWarnings(before, spec) : [];
}

/** `1,234,567`. */
function figure(value: number): string {
  return value.toLocaleString("en-US");
}

function roughly(seconds: number): string {
  if (seconds < 120) return `${Math.max(1, seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}
