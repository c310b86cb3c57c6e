// SPDX-License-Identifier: Apache-2.0
import { API_VERSION, type ImCluster, KIND } from "../api/v1alpha1.ts";
import type { EventInput, EventSink } from "../kube/events.ts";
import type { DrainPhase } from "./drain.ts";
import type { ObservedEntry } from "./observed.ts";
import type { Action } from "./plan.ts";

const DRAIN_WORDS: Record<DrainPhase, string> = {
  Cordoned: "takes no new connections",
  Draining: "asks its clients to reconnect elsewhere",
  Purging: "has its routes removed",
  Released: "is released",
};

/** Tells people, by Events on the ImCluster, what was done and why. */
export class ClusterEvents {
  readonly #sink: EventSink;

  constructor(sink: EventSink) {
    this.#sink = sink;
  }

  onAction(cluster: ImCluster, action: Action): void {
    const event = eventOf(action);
    if (event) this.record(cluster, event);
  }

  record(cluster: ImCluster, event: EventInput): void {
    this.#sink.record({ ...cluster, apiVersion: API_VERSION, kind: KIND } as ImCluster, event);
  }
}

/** Only what a person wants to know: not each applied object. */
function eventOf(action: Action): EventInput | undefined {
  const normal = (reason: string, message: string): EventInput => ({ type: "Normal", reason, message });
  switch (action.kind) {
    case "createEntry":
      return normal("EntryCreated", `Created an entry pod: ${action.reason}`);
    case "setDrain":
      return drainEvent(action.entry, action.intent.phase, action.reason);
    case "release":
      return releaseEvent(action.entry, action.intent.reason);
    case "abortDrain":
      return normal("DrainAborted", `${action.entry.name} takes connections again: ${action.reason}`);
    case "setCordoned":
      return normal(action.isCordoned ? "EntryCordoned" : "EntryUncordoned", action.reason);
    case "create":
      return action.object.kind === "Job" ? normal("MigrationStarted", action.reason) : undefined;
    case "makeSecret":
      return action.need.replaces ? normal("CertificateRenewed", action.reason) : undefined;
    default:
      return undefined;
  }
}

function drainEvent(entry: ObservedEntry, phase: DrainPhase, why: string): EventInput {
  const isFault = why === "Failed" || why === "NodeLost";
  const reason = `Entry${phase}`;
  return { type: isFault ? "Warning" : "Normal", reason, message: `${entry.name} ${DRAIN_WORDS[phase]}: ${why}` };
}

function releaseEvent(entry: ObservedEntry, why: string): EventInput {
  if (entry.isPurged || !entry.hasStarted) {
    return { type: "Normal", reason: "EntryReleased", message: `${entry.name} is drained (${why})` };
  }
  const message = `${entry.name} is released without a purge, because no logic pod answered in time: its routes end with its lease`;
  return { type: "Warning", reason: "EntryNotPurged", message };
}
