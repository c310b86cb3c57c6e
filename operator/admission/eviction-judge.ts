// SPDX-License-Identifier: Apache-2.0
import type { ImCluster } from "../api/v1alpha1.ts";
import { type DrainPhase, parseIntent } from "../imcluster/drain.ts";
import { ANNOTATION, FINALIZER, LABEL } from "../imcluster/names.ts";
import { isPaused } from "../imcluster/wanted.ts";
import type { Pod } from "../kube/types.ts";

/** What becomes of an eviction. `asks`: the pod does not know yet that it has to go. */
export type EvictionVerdict = { kind: "allow"; because: string } | { kind: "deny"; message: string; asks: boolean };

/** An operator that has not begun a drain after this, or not ended one this long after its time, does not work: the disruption budget decides then. */
const UNHEARD_MS = 600_000;

const allow = (because: string): EvictionVerdict => ({ kind: "allow", because });

/**
 * May this pod be evicted now? An entry that holds connections only after its drain. Pure.
 * @param pod `undefined`: the operator knows none of this name
 * @param nowMs wall clock
 */
export function judgeEviction(pod: Pod | undefined, cluster: ImCluster | undefined, nowMs: number): EvictionVerdict {
  if (pod?.metadata.labels?.[LABEL.component] !== "entry") return allow("no entry");
  const { metadata, status } = pod;
  if (metadata.deletionTimestamp || !metadata.finalizers?.includes(FINALIZER.entry)) return allow("it has been let go");
  if (status?.phase === "Failed" || status?.phase === "Succeeded") return allow("it has ended");
  if (!status?.containerStatuses?.some(({ state, restartCount }) => state?.running || restartCount > 0))
    return allow("it never ran");
  if (!cluster || cluster.metadata.deletionTimestamp) return allow("its ImCluster is going");
  if (isPaused(cluster)) return allow("its ImCluster is paused: nobody would drain it");
  const intent = parseIntent(metadata.annotations?.[ANNOTATION.drain]);
  const requestedMs = Date.parse(metadata.annotations?.[ANNOTATION.drainRequestedAt] ?? "");
  const isAsked = metadata.annotations?.[ANNOTATION.drainRequest] !== undefined && !Number.isNaN(requestedMs);
  if (intent?.phase === "Released") return allow("it is drained");
  if (intent) {
    const isHeld = cluster.spec.entry.drain.onDeadline === "Hold";
    if (isAskingClients(intent.phase) && !isHeld && nowMs - Date.parse(intent.deadline) > UNHEARD_MS)
      return allow("its drain should have ended ten minutes ago");
    const message = `entry ${metadata.name} is being drained (${intent.phase}): try again in a few seconds`;
    // A node that is only cordoned waits for a replacement for ever; one that is emptied does not.
    return { kind: "deny", message, asks: intent.reason === "NodeDrain" && !isAsked };
  }
  // The time alone is of a request that was called off.
  if (isAsked && nowMs - requestedMs > UNHEARD_MS) return allow("nobody has begun to drain it for ten minutes");
  const message = `entry ${metadata.name} is going to be drained first: try again in a few seconds`;
  return { kind: "deny", message, asks: !isAsked };
}

/** Before that it may have to wait for others, for as long as that takes. */
function isAskingClients(phase: DrainPhase): boolean {
  return phase === "Draining" || phase === "Forcing" || phase === "Purging" || phase === "Verifying";
}
