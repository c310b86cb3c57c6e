// SPDX-License-Identifier: Apache-2.0
import type { ReconnectGrant } from "./drain.ts";

/**
 * When each of `count` clients moves, in ms from now: one in each part of the time of the grant. Left to chance, a second would now
 * and then get more than the budget has for it.
 */
export function turnsOf(
  count: number,
  { afterMs, spreadMs }: Pick<ReconnectGrant, "afterMs" | "spreadMs">,
  random: () => number,
): number[] {
  return Array.from({ length: count }, (_, at) => afterMs + ((at + random()) / count) * spreadMs);
}
