// SPDX-License-Identifier: Apache-2.0
import type { Node, Pod } from "../kube/types.ts";
import type { DrainReason } from "./drain.ts";
import { ANNOTATION } from "./names.ts";

/** Taints by which cluster autoscalers, and Kubernetes for `kubectl cordon`, say that a node is going to be emptied. */
export const DEFAULT_DRAIN_TAINTS: readonly string[] = [
  "node.kubernetes.io/unschedulable",
  "ToBeDeletedByClusterAutoscaler",
  "karpenter.sh/disrupted",
  "karpenter.sh/disruption",
];

/** What {@link isNodeLeaving} looks at. A node is large: its kubelet lists every image that it has. */
export function whatCountsOfNode({ metadata, spec }: Node): Node {
  const { name, uid, resourceVersion, deletionTimestamp } = metadata;
  return {
    metadata: {
      name,
      ...(uid ? { uid } : {}),
      ...(resourceVersion ? { resourceVersion } : {}),
      ...(deletionTimestamp ? { deletionTimestamp } : {}),
    },
    spec: {
      ...(spec?.unschedulable ? { unschedulable: true } : {}),
      ...(spec?.taints ? { taints: spec.taints } : {}),
    },
  };
}

/** Is this node being emptied? */
export function isNodeLeaving({ spec, metadata }: Node, drainTaints: readonly string[]): boolean {
  if (metadata.deletionTimestamp) return true;
  const isCordoned = spec?.unschedulable === true && drainTaints.includes("node.kubernetes.io/unschedulable");
  return isCordoned || (spec?.taints ?? []).some(({ key }) => drainTaints.includes(key));
}

/**
 * Why this pod has to go although the spec wants it: somebody wrote `imcluster.io/drain-request` on it, or its node is being
 * emptied. A request of an unknown word is one of a person.
 */
export function drainCause(pod: Pod, isNodeGoing: boolean): DrainReason | undefined {
  const request = pod.metadata.annotations?.[ANNOTATION.drainRequest];
  if (request === "Fence" || request === "Fenced") return "Fenced";
  if (request) return request === "Evicted" ? "Evicted" : "Manual";
  return isNodeGoing ? "NodeDrain" : undefined;
}

const EXTERNAL: ReadonlySet<string> = new Set(["NodeDrain", "Evicted", "Manual", "Fenced"]);

/** Begun by {@link drainCause}, and called off when that is no more. */
export function isExternal(reason: DrainReason): boolean {
  return EXTERNAL.has(reason);
}
