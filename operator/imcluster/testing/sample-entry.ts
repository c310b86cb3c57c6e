// SPDX-License-Identifier: Apache-2.0
import type { Pod } from "../../kube/types.ts";
import { type DrainPhase, type DrainReason, newIntent } from "../drain.ts";
import { ANNOTATION, FINALIZER, LABEL } from "../names.ts";
import { type EntryProbe, type ObservedEntry, observeEntry } from "../observed.ts";
import { NOW_MS } from "./sample.ts";

export interface EntrySketch {
  name: string;
  revision?: string;
  /** Default true. */
  isReady?: boolean;
  drain?: { phase: DrainPhase; reason?: DrainReason };
  /** `undefined`: it does not answer. Default 10. */
  sessions?: number | undefined;
  restarts?: number;
  /** The scheduler found no node since it was made, so long ago. */
  homelessForMs?: number;
  /** Ended. */
  failed?: string;
  probe?: Partial<EntryProbe>;
}

/** An entry pod of revision "new" that serves, but for what is said. */
export function sampleEntry(sketch: EntrySketch): ObservedEntry {
  return observeEntry(podOf(sketch), {
    ownerUid: "cluster-uid",
    probe: probeOf(sketch),
    isPurged: false,
    nowMs: NOW_MS,
  });
}

function podOf({
  name,
  revision = "new",
  isReady = true,
  drain,
  restarts = 0,
  homelessForMs,
  failed,
}: EntrySketch): Pod {
  const intent = drain && newIntent(name, drain.reason ?? "Update", drain.phase, NOW_MS);
  const isRunning = homelessForMs === undefined && failed === undefined;
  const state = isRunning ? { running: {} } : { terminated: { exitCode: 1 } };
  const unscheduled = { type: "PodScheduled", status: "False" as const, reason: "Unschedulable", message: "0/2 nodes" };
  const ready = { type: "Ready", status: isReady && isRunning && !drain ? ("True" as const) : ("False" as const) };
  return {
    metadata: {
      ...{ name, uid: `uid-${name}`, namespace: "shop", finalizers: [FINALIZER.entry] },
      labels: { [LABEL.revision]: revision },
      ...(intent ? { annotations: { [ANNOTATION.drain]: JSON.stringify(intent) } } : {}),
      creationTimestamp: new Date(NOW_MS - (homelessForMs ?? 60_000)).toISOString(),
      ownerReferences: [{ apiVersion: "", kind: "ImCluster", name: "demo", uid: "cluster-uid" }],
    },
    spec: { containers: [], ...(homelessForMs === undefined ? { nodeName: "n1" } : {}) },
    status: {
      phase: failed === undefined ? (isRunning ? "Running" : "Pending") : "Failed",
      ...(failed === undefined ? {} : { reason: failed }),
      conditions: homelessForMs === undefined ? [ready] : [unscheduled],
      containerStatuses:
        homelessForMs === undefined ? [{ name: "entry", ready: isReady, restartCount: restarts, state }] : [],
    },
  };
}

function probeOf(sketch: EntrySketch): EntryProbe | undefined {
  const { isReady = true, homelessForMs, failed, drain, probe } = sketch;
  const sessions = "sessions" in sketch ? sketch.sessions : 10;
  if (sessions === undefined || homelessForMs !== undefined || failed !== undefined) return undefined;
  const connections = isReady ? sessions : 0;
  return { connections, sessions: connections, cordoned: drain !== undefined, draining: false, atMs: 0, ...probe };
}

export const many = (count: number, prefix: string, sketch: Omit<EntrySketch, "name"> = {}): ObservedEntry[] =>
  Array.from({ length: count }, (_, index) => sampleEntry({ name: `${prefix}${index}`, ...sketch }));
