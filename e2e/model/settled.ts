// SPDX-License-Identifier: Apache-2.0
import type { EntryUpdateSpec } from "../../operator/api/v1alpha1.ts";
import { ANNOTATION } from "../../operator/imcluster/names.ts";
import { isReady, type SimCluster } from "./cluster.ts";
import type { ModelOperator } from "./operator.ts";

/** As the API server fills it in. */
export const updateSpec = (fields: Partial<EntryUpdateSpec> = {}): EntryUpdateSpec => ({
  ...{ strategy: "BlueGreen", batch: "25%", approval: { mode: "Auto", manualAboveSessions: 0 } },
  ...fields,
});

/** As wanted: the number, the revision, all ready, all clients back, nothing under way. */
export function isSettled({ pods, clients }: SimCluster, { spec, record }: ModelOperator): boolean {
  const all = [...pods.values()];
  const isWanted = (one: (typeof all)[number]) =>
    isReady(one) && one.revision === spec.revision && !one.pod.metadata.annotations?.[ANNOTATION.drain];
  const isHome = clients.every(({ at }) => at !== undefined);
  return all.length === spec.replicas && all.every(isWanted) && isHome && record === undefined;
}
