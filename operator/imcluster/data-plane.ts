// SPDX-License-Identifier: Apache-2.0
import { rfc3339Seconds } from "../api/conditions.ts";
import type { DataPlaneStatus } from "../api/v1alpha1.ts";
import { isPlanned } from "./drain.ts";
import { isLeaving, type ObservedEntry } from "./observed.ts";

/** An entry from when its pod was not ready any more. */
interface Watched {
  pod: string;
  sinceMs: number;
  /** Connections then, and arrivals until then. */
  connections: number;
  arrivals: number;
  /** Latest reading. */
  seen: number;
  lastArrivalMs: number;
  /** Connections that ended before anybody was asked to move. */
  lost: number;
  watchedMs: number;
}

/** Nobody came for so long: nobody comes any more. */
const QUIET_MS = 5_000;
/** A shorter look shows nothing. */
const MIN_WATCHED_MS = 2_000;
/** Fewer connections, or a smaller share of them, end by themselves. */
const MIN_CONNECTIONS = 20;
const CUT_SHARE = 0.5;

/**
 * What the network does with an entry whose pod is not ready: every drain shows it. Kept in memory; the outcome of the last one
 * is in the status.
 */
export class DataPlaneWatch {
  #watched = new Map<string, Watched>();
  /** UIDs whose look is over. */
  #done = new Set<string>();
  #last: DataPlaneStatus | undefined;

  /** Of the last drain that showed it; `undefined` before the first. */
  get last(): DataPlaneStatus | undefined {
    return this.#last;
  }

  /** Once a pass. @param nowMs monotonic @param wallMs for the status */
  look(entries: readonly ObservedEntry[], nowMs: number, wallMs: number): void {
    const present = new Map(entries.map((entry) => [entry.uid, entry]));
    for (const entry of entries) if (isOut(entry) && !this.#done.has(entry.uid)) this.#watch(entry, nowMs);
    for (const [uid, watched] of this.#watched) {
      const entry = present.get(uid);
      const isQuiet = entry?.probe?.draining === true && nowMs - watched.sinceMs - watched.lastArrivalMs >= QUIET_MS;
      if (entry && isOut(entry) && !isQuiet) continue;
      this.#watched.delete(uid);
      if (entry) this.#done.add(uid);
      // Called off: it takes connections again, and may be drained another time.
      if (entry && !entry.intent) this.#done.delete(uid);
      else this.#conclude(watched, wallMs);
    }
    for (const uid of this.#done) if (!present.get(uid)?.intent) this.#done.delete(uid);
  }

  #watch({ uid, name, probe }: ObservedEntry, nowMs: number): void {
    if (probe?.arrivals === undefined) return;
    const { connections, arrivals, draining } = probe;
    const known = this.#watched.get(uid);
    if (!known || arrivals < known.seen) {
      // From the beginning or not at all.
      if (draining) return;
      const fresh = { pod: name, sinceMs: nowMs, connections, arrivals, seen: arrivals };
      this.#watched.set(uid, { ...fresh, lastArrivalMs: 0, lost: 0, watchedMs: 0 });
      return;
    }
    known.watchedMs = nowMs - known.sinceMs;
    if (arrivals > known.seen) known.lastArrivalMs = known.watchedMs;
    known.seen = arrivals;
    if (!draining) known.lost = Math.max(known.lost, known.connections + arrivals - known.arrivals - connections);
  }

  #conclude({ pod, connections, lost, lastArrivalMs, watchedMs }: Watched, wallMs: number): void {
    if (watchedMs < MIN_WATCHED_MS) return;
    const cutsOnUnready = connections >= MIN_CONNECTIONS && lost >= CUT_SHARE * connections;
    const detachSeconds = Math.ceil(lastArrivalMs / 1000);
    this.#last = { pod, cutsOnUnready, detachSeconds, probedAt: rfc3339Seconds(wallMs) };
  }
}

/** Out of the Service, and not because it crashed. */
function isOut(entry: ObservedEntry): boolean {
  const { intent, isReady, probe } = entry;
  if (!isLeaving(entry) || !intent || !isPlanned(intent.reason) || isReady) return false;
  // One that does not answer for a moment is out all the same.
  if (probe?.cordoned === false) return false;
  return ["Cordoned", "LbDetaching", "Draining", "Forcing"].includes(intent.phase);
}
