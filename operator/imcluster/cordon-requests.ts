// SPDX-License-Identifier: Apache-2.0
import type { Pod } from "../kube/types.ts";
import type { EntryAction } from "./entry-plan.ts";
import { ANNOTATION } from "./names.ts";
import { isActive, type ObservedEntry } from "./observed.ts";

/** What a person wants of an entry pod, by the annotation `imcluster.io/cordon`: true, false, or nothing. */
export function cordonRequest({ metadata }: Pod): boolean | undefined {
  const text = metadata.annotations?.[ANNOTATION.cordon];
  return text === "true" ? true : text === "false" ? false : undefined;
}

/**
 * Entries that serve, and are not as a person wants them: they take no new connections, or again. Open ones stay, and the pod
 * counts as one of those wanted: nothing comes in its place. Said again when its container starts again. Pure.
 */
export function cordonSteps(entries: readonly ObservedEntry[]): EntryAction[] {
  return entries.filter(isActive).flatMap((entry): EntryAction[] => {
    const isCordoned = cordonRequest(entry.pod);
    const actual = entry.probe?.cordoned;
    if (isCordoned === undefined || actual === undefined || actual === isCordoned) return [];
    const reason = `${entry.name} ${isCordoned ? "takes no new connections" : "takes new connections again"}: by request`;
    return [{ kind: "setCordoned", entry, isCordoned, reason }];
  });
}
