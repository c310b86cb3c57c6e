// SPDX-License-Identifier: Apache-2.0

/** Bounds of the wait, whatever was measured or configured. */
export const MIN_ACK_WAIT_MS = 3000;
export const MAX_ACK_WAIT_MS = 15_000;
/** The round trip that a connection is taken to have before it is measured. */
const ASSUMED_MS = 500;
const ROUND_TRIPS = 4;

/**
 * How long a device may take to acknowledge: `defaultMs` on a connection of which nothing is known, and four times as much
 * longer or shorter as its round trip is longer or shorter than half a second.
 *
 * @param roundTripMs smoothed, with its variation; 0 = not known
 */
export function ackWaitMs(defaultMs: number, roundTripMs: number): number {
  if (roundTripMs === 0) return defaultMs;
  const ms = defaultMs + ROUND_TRIPS * (roundTripMs - ASSUMED_MS);
  return Math.min(Math.max(ms, MIN_ACK_WAIT_MS), MAX_ACK_WAIT_MS);
}
