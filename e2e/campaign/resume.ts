// SPDX-License-Identifier: Apache-2.0
import type { HistoryEvent } from "../checker/history.ts";

/**
 * Longest time, in ms, from the begin of a failover to the first acknowledgement of a send that began after it;
 * Infinity when none came; undefined without a failover. Needs `what` of fault events as the schedule words it.
 */
export function resumeMaxMs(events: readonly HistoryEvent[]): number | undefined {
  const strikes = events.flatMap((event) =>
    event.op === "fault" && event.what.startsWith("failover ") ? [event.atMs] : [],
  );
  if (strikes.length === 0) return undefined;
  const invokedAtMs = new Map<string, number>();
  const firstAck = new Map(strikes.map((atMs) => [atMs, Number.POSITIVE_INFINITY]));
  for (const event of events) {
    if (event.op !== "send") continue;
    const key = `${event.uid}\0${event.cmid}`;
    if (event.kind === "invoke") invokedAtMs.set(key, event.atMs);
    if (event.kind !== "ok") continue;
    const began = invokedAtMs.get(key) ?? 0;
    for (const [strike, known] of firstAck) if (began > strike && event.atMs < known) firstAck.set(strike, event.atMs);
  }
  return Math.max(...[...firstAck].map(([strike, ackedAtMs]) => ackedAtMs - strike));
}
