// SPDX-License-Identifier: Apache-2.0
import type { HistoryEvent } from "../checker/history.ts";

/** One user's device is away between two moments. */
interface Absence {
  uid: string;
  device: string;
  fromMs: number;
  toMs: number;
}

/** Ends of the fault notes that begin and end an absence; see `PairsOptions.offline`. */
const AWAY = " goes offline";

/** Messages that were acknowledged while their reader's phone was away and that it showed later. */
export function countPulled(events: readonly HistoryEvent[]): number {
  const absences = absencesOf(events);
  const ackedMs = new Map<string, number>();
  for (const event of events)
    if (event.op === "send" && event.kind === "ok") ackedMs.set(`${event.uid} ${event.cmid}`, event.atMs);
  let pulled = 0;
  for (const event of events) {
    if (event.op !== "receive") continue;
    const sentMs = ackedMs.get(`${event.sender} ${event.cmid}`);
    if (sentMs === undefined) continue;
    const isPulled = absences.some(
      ({ uid, device, fromMs, toMs }) =>
        event.uid === uid && event.device === device && sentMs > fromMs && sentMs < toMs && event.atMs >= toMs,
    );
    if (isPulled) pulled++;
  }
  return pulled;
}

/** From the note to the next session of the user's. */
function absencesOf(events: readonly HistoryEvent[]): Absence[] {
  const absences: Absence[] = [];
  for (const event of events) {
    if (event.op === "fault" && event.what.endsWith(AWAY)) {
      const uid = event.what.slice(0, -AWAY.length);
      absences.push({ uid, device: "", fromMs: event.atMs, toMs: Number.POSITIVE_INFINITY });
    } else if (event.op === "session" && event.kind === "open") {
      const absence = absences.find(({ uid, device }) => uid === event.uid && device === "");
      if (absence) Object.assign(absence, { device: event.device, toMs: event.atMs });
    }
  }
  return absences;
}
