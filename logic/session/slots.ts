// SPDX-License-Identifier: Apache-2.0

/** Platform classes: a user has at most one session in each. */
const SLOT_BY_PLATFORM: ReadonlyMap<string, string> = new Map([
  ["ios", "mobile"],
  ["android", "mobile"],
  ["web", "web"],
  ["desktop", "desktop"],
  ["mini", "mini"],
]);

export const PLATFORMS: readonly string[] = [...SLOT_BY_PLATFORM.keys()];

/** Slot of a platform; undefined for one this build does not know. */
export function slotOf(platform: string): string | undefined {
  return SLOT_BY_PLATFORM.get(platform);
}
