// SPDX-License-Identifier: Apache-2.0
// How long no send was acknowledged around each fault. Pure.
import type { HistoryEvent } from "../checker/history.ts";

/**
 * By fault: the longest time, in ms, in which no send was acknowledged, from the last acknowledgement before the fault until the next fault (the end, for the
 * last one). A fault after the last acknowledgement, or before the first, has Infinity: nothing shows that sends went on.
 */
export function silences(events: readonly HistoryEvent[]): Map<string, number> {
  const acks = events.flatMap(({ op, kind, atMs }) => (op === "send" && kind === "ok" ? [atMs] : []));
  acks.sort((a, b) => a - b);
  const faults = events.flatMap((event) => (event.op === "fault" ? [event] : [])).sort((a, b) => a.atMs - b.atMs);
  return new Map(
    faults.map(({ what, atMs }, index) => [
      what,
      longestGap(acks, atMs, faults[index + 1]?.atMs ?? Number.POSITIVE_INFINITY),
    ]),
  );
}

function longestGap(acks: readonly number[], fromMs: number, untilMs: number): number {
  const before = acks.findLast((atMs) => atMs <= fromMs);
  const after = acks.filter((atMs) => atMs > fromMs && atMs <= untilMs);
  const next = acks.find((atMs) => atMs > untilMs);
  if (before === undefined || after.length === 0) return Number.POSITIVE_INFINITY;
  // Of the gap that the next fault falls into, only what was before it.
  const ends = next === undefined ? after : [...after, untilMs];
  let longest = 0;
  let last = before;
  for (const atMs of ends) {
    longest = Math.max(longest, atMs - last);
    last = atMs;
  }
  return longest;
}
