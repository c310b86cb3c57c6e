// SPDX-License-Identifier: Apache-2.0
import { ANNOTATION } from "./names.ts";
import type { ObservedCluster } from "./observed-cluster.ts";
import { entryRevision } from "./resources/entry-pod.ts";
import { mayRollOutEntries } from "./rollout.ts";
import { type Gate, type GateInput, updateGate } from "./update-gate.ts";

/** How far the update of the entries may go, of a whole observation. */
export function gateOf(observed: ObservedCluster, replicas: number): Gate {
  return updateGate(gateInput(observed, replicas));
}

function gateInput(observed: ObservedCluster, replicas: number): GateInput {
  const { metadata, spec, status } = observed.cluster;
  return {
    update: spec.entry.update,
    replicas,
    revision: entryRevision(observed.context),
    entries: observed.entries,
    mayRollOut: mayRollOutEntries(observed),
    record: status?.update,
    approved: metadata.annotations?.[ANNOTATION.approveUpdate],
    object: `imc/${metadata.name} -n ${metadata.namespace}`,
    nowMs: observed.nowMs,
  };
}
