// SPDX-License-Identifier: Apache-2.0
import { API_VERSION, type ImCluster, KIND } from "../api/v1alpha1.ts";
import type { EventInput, EventSink } from "../kube/events.ts";
import type { DrainIntent, DrainPhase, DrainReport } from "./drain.ts";
import type { ObservedEntry } from "./observed.ts";
import type { Action } from "./plan.ts";

const DRAIN_WORDS: Record<DrainPhase, string> = {
  Planned: "has to go",
  Cordoned: "takes no new connections",
  LbDetaching: "waits until new connections no longer arrive",
  Draining: "asks its clients to reconnect elsewhere",
  Forcing: "closes the connections that are left",
  Purging: "has its routes removed",
  Verifying: "is gone, and its clients are looked for",
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
      return releaseEvent(action.entry, action.intent);
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

function releaseEvent(entry: ObservedEntry, { reason: why, report }: DrainIntent): EventInput {
  if (entry.isPurged || !entry.hasStarted || entry.intent?.phase === "Verifying") {
    const type = report && report.routesLeft !== 0 ? "Warning" : "Normal";
    return { type, reason: "EntryReleased", message: `${entry.name} is drained (${why})${reportText(report)}` };
  }
  const message = `${entry.name} is released without a purge, because no logic pod answered in time: its routes end with its lease`;
  return { type: "Warning", reason: "EntryNotPurged", message };
}

function reportText(report: DrainReport | undefined): string {
  if (!report) return "";
  const { initial, asked, forced, returned, absent, offlineP50Ms, offlineP99Ms, routesLeft = "unknown" } = report;
  const clients =
    returned === undefined
      ? "who came back is unknown"
      : `${returned} back elsewhere, ${absent} absent, offline p50 ${offlineP50Ms} ms, p99 ${offlineP99Ms} ms`;
  return `: ${initial} sessions, ${asked} asked, ${forced} closed at the deadline, ${clients}, routes left: ${routesLeft}`;
}
