// SPDX-License-Identifier: Apache-2.0
import { rfc3339Seconds } from "../api/conditions.ts";
import type { DrainStatus } from "../api/v1alpha1.ts";
import type { ObservedEntry } from "./observed.ts";

const MAX_DRAINS = 20;

/**
 * The last 20 drains, newest first: those that pods say are under way, and those that were and whose pod has been released.
 * The pods are the truth; what a lost status write leaves out is only missing from the history.
 */
export function drainHistory(
  previous: readonly DrainStatus[],
  entries: readonly ObservedEntry[],
  nowMs: number,
): DrainStatus[] {
  const running = entries.flatMap(runningDrain);
  const isRunning = ({ id }: DrainStatus) => running.some((drain) => drain.id === id);
  const finished = previous.filter((drain) => !isRunning(drain)).map((drain) => finish(drain, nowMs));
  return [...running.map((drain) => (drain.phase === "Released" ? finish(drain, nowMs, previous) : drain)), ...finished]
    .sort((a, b) => (b.startedAt ?? "").localeCompare(a.startedAt ?? "") || a.id.localeCompare(b.id))
    .slice(0, MAX_DRAINS);
}

function runningDrain({ name, uid, intent, probe }: ObservedEntry): DrainStatus[] {
  if (!intent) return [];
  const { id, reason, phase } = intent;
  return [
    {
      id,
      pod: name,
      podUID: uid,
      reason,
      phase,
      startedAt: rfc3339Seconds(Date.parse(intent.startedAt)),
      deadline: rfc3339Seconds(Date.parse(intent.deadline)),
      ...(probe && phase === "Draining" ? { remaining: probe.connections } : {}),
    },
  ];
}

function finish(drain: DrainStatus, nowMs: number, previous: readonly DrainStatus[] = []): DrainStatus {
  const { remaining: _, deadline: __, ...rest } = drain;
  const known = drain.finishedAt ?? previous.find(({ id }) => id === drain.id)?.finishedAt;
  return { ...rest, phase: "Released", finishedAt: known ?? rfc3339Seconds(nowMs) };
}
