// SPDX-License-Identifier: Apache-2.0
import { nearestRank } from "#lib/nearest-rank.ts";
import type { HistoryEvent } from "../checker/history.ts";

/** What happened to the connections of devices within some time. */
export interface Moves {
  /** Logins after the first one of a device, all devices together. */
  reconnects: number;
  reconnectsPerClientMax: number;
  /** For each reconnect, and each device that is still away at the end: how long it was without a session; 0 for moves that overlap. */
  offlineMs: number[];
  /** The client that reconnected most, by its process in the history; undefined when nobody did. */
  mostMoved: string | undefined;
}

interface Device {
  closedAtMs: number | undefined;
  isKnown: boolean;
  reconnects: number;
}

/** Reads the session events of a history; reconnects count from `fromMs` on, the clock of the events. Pure, O(n). */
export function movesOf(events: readonly HistoryEvent[], fromMs: number, untilMs: number): Moves {
  const devices = new Map<string, Device>();
  const offlineMs: number[] = [];
  let [reconnects, reconnectsPerClientMax] = [0, 0];
  let mostMoved: string | undefined;
  for (const event of events) {
    if (event.op !== "session" || event.atMs > untilMs) continue;
    const device = devices.get(event.process) ?? { closedAtMs: undefined, isKnown: false, reconnects: 0 };
    devices.set(event.process, device);
    if (event.kind === "close") device.closedAtMs = event.atMs;
    if (event.kind !== "open") continue;
    if (device.isKnown && event.atMs >= fromMs) {
      offlineMs.push(event.atMs - (device.closedAtMs ?? event.atMs));
      reconnects++;
      if (++device.reconnects > reconnectsPerClientMax)
        [reconnectsPerClientMax, mostMoved] = [device.reconnects, event.process];
    }
    device.isKnown = true;
    device.closedAtMs = undefined;
  }
  for (const { closedAtMs } of devices.values()) if (closedAtMs !== undefined) offlineMs.push(untilMs - closedAtMs);
  return { reconnects, reconnectsPerClientMax, offlineMs, mostMoved };
}

/** The value below which `share` (above 0, at most 1) of `values` lie, whole ms; 0 without any. */
export function quantileMs(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return Math.round(nearestRank(sorted, share));
}
