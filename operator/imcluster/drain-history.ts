// SPDX-License-Identifier: Apache-2.0
import { rfc3339Seconds } from "../api/conditions.ts";
import type { DrainStatus } from "../api/v1alpha1.ts";
import { isRevocable } from "./drain.ts";
import type { ObservedEntry } from "./observed.ts";
import type { ObservedCluster } from "./observed-cluster.ts";

const MAX_DRAINS = 20;

/**
 * The last 20 drains, newest first: those that pods say are under way, and those that were and whose pod has been released. One
 * that was called off is about a pod that serves on: it goes with that pod.
 * The pods are the truth; what a lost status write leaves out is only missing from the history.
 *
 * @param etaSeconds until the pods that leave are let go, by UID
 */
export function drainHistory(
  previous: readonly DrainStatus[],
  observed: Pick<ObservedCluster, "entries" | "reconnectsPerSecond" | "nowMs">,
  etaSeconds: ReadonlyMap<string, number> = new Map(),
): DrainStatus[] {
  const { entries, nowMs, reconnectsPerSecond } = observed;
  const running = entries.flatMap((entry) => runningDrain(entry, { reconnectsPerSecond, etaSeconds }));
  const isRunning = ({ id }: DrainStatus) => running.some((drain) => drain.id === id);
  const serves = ({ podUID, abortable }: DrainStatus) =>
    abortable === true && entries.some(({ uid, intent }) => uid === podUID && !intent);
  const exists = ({ podUID }: DrainStatus) => entries.some(({ uid }) => uid === podUID);
  const finished = previous
    .filter((drain) => !isRunning(drain) && (drain.phase !== "Aborted" || exists(drain)))
    .map((drain) => finish(drain, serves(drain) ? "Aborted" : "Released", nowMs));
  return [
    ...running.map((drain) => (drain.phase === "Released" ? finish(drain, "Released", nowMs, previous) : drain)),
    ...finished,
  ]
    .sort((a, b) => (b.startedAt ?? "").localeCompare(a.startedAt ?? "") || a.id.localeCompare(b.id))
    .slice(0, MAX_DRAINS);
}

type Figures = Pick<ObservedCluster, "reconnectsPerSecond"> & { etaSeconds: ReadonlyMap<string, number> };

function runningDrain(entry: ObservedEntry, figures: Figures): DrainStatus[] {
  const { name, uid, intent } = entry;
  if (!intent) return [];
  const { id, reason, phase } = intent;
  const etaSeconds = phase === "Released" ? undefined : figures.etaSeconds.get(uid);
  return [
    {
      ...{ id, pod: name, podUID: uid, reason, phase },
      startedAt: rfc3339Seconds(Date.parse(intent.startedAt)),
      deadline: rfc3339Seconds(Date.parse(intent.deadline)),
      abortable: isRevocable(intent),
      ...progress(entry, figures),
      ...(etaSeconds === undefined ? {} : { etaSeconds }),
      ...(phase === "Released" || phase === "Verifying" ? entry.report : {}),
    },
  ];
}

/** Figures of an entry that can still be asked. */
function progress({ probe, intent }: ObservedEntry, { reconnectsPerSecond: rate }: Figures) {
  if (!probe?.drain || !probe.draining) return {};
  const { initial, asked, forced } = probe.drain;
  const counts = { initial, asked, forced };
  if (intent?.phase !== "Draining" && intent?.phase !== "Forcing") return counts;
  const moving = { ...counts, remaining: probe.connections };
  if (intent.phase === "Forcing" || rate === undefined) return moving;
  return { ...moving, ratePerSecond: Math.round(rate) };
}

function finish(
  drain: DrainStatus,
  phase: "Released" | "Aborted",
  nowMs: number,
  previous: readonly DrainStatus[] = [],
): DrainStatus {
  const { remaining: _, deadline: __, abortable: ___, ratePerSecond: ____, etaSeconds: _____, ...rest } = drain;
  const known = drain.finishedAt ?? previous.find(({ id }) => id === drain.id)?.finishedAt;
  const isOver = drain.phase === "Released" || drain.phase === "Aborted";
  return { ...rest, phase: isOver ? drain.phase : phase, finishedAt: known ?? rfc3339Seconds(nowMs) };
}
