// SPDX-License-Identifier: Apache-2.0
import type { Hello } from "#proto/gen/messages.ts";

/** How often a client is to ping, ms. */
export interface PingIntervals {
  readonly pingIntervalMs: number;
  readonly backgroundPingIntervalMs: number;
}

/** However often a network cut its connections, a client pings no more often than this, unless configured. */
export const MIN_PING_INTERVAL_MS = 10_000;

/**
 * The configured intervals; or shorter ones for a client whose last connection was idle for `silentDeathMs` when it was found
 * dead: some box on its way forgets connections by then, so half of that keeps the next one alive. What one client says
 * changes its own intervals only, and within bounds.
 */
export function pingIntervalsFor(
  { silentDeathMs }: Pick<Hello, "silentDeathMs">,
  configured: PingIntervals,
): PingIntervals {
  const { pingIntervalMs, backgroundPingIntervalMs } = configured;
  const shortened = (intervalMs: number): number => {
    if (silentDeathMs === 0) return intervalMs;
    return Math.min(intervalMs, Math.max(MIN_PING_INTERVAL_MS, Math.floor(silentDeathMs / 2)));
  };
  return {
    pingIntervalMs: shortened(pingIntervalMs),
    backgroundPingIntervalMs: shortened(backgroundPingIntervalMs),
  };
}
