// SPDX-License-Identifier: Apache-2.0

/** Platform classes: the slots of a user's sessions. */
const CLASS_BY_PLATFORM: ReadonlyMap<string, string> = new Map([
  ["ios", "mobile"],
  ["android", "mobile"],
  ["web", "web"],
  ["desktop", "desktop"],
  ["mini", "mini"],
]);

export const PLATFORMS: readonly string[] = [...CLASS_BY_PLATFORM.keys()];

/** Class of a platform; undefined for one this build does not know. */
export function slotOf(platform: string): string | undefined {
  return CLASS_BY_PLATFORM.get(platform);
}

/** How many sessions a user may have, and how often one may log in. */
export interface SessionPolicy {
  /** Sessions per platform class, from 1 to {@link MAX_SESSIONS_PER_SLOT}. */
  readonly sessionsPerSlot: number;
  /** Logins per minute of one user and class; more are refused for a growing time. 0 = any number. */
  readonly loginsPerMinute: number;
}

/** Also what "all" means: everything is bounded. */
export const MAX_SESSIONS_PER_SLOT = 32;

export const DEFAULT_POLICY: SessionPolicy = { sessionsPerSlot: 1, loginsPerMinute: 15 };
