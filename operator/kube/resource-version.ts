// SPDX-License-Identifier: Apache-2.0

/**
 * Orders two resourceVersions: negative when `a` is older, 0 when they are equal, positive when it is newer. They are
 * decimal numbers that only grow (KEP-5504); undefined when one is anything else, of which we only know equal from different.
 */
export function compareVersions(a: string, b: string): number | undefined {
  if (a === b) return 0;
  if (!/^\d+$/.test(a) || !/^\d+$/.test(b)) return undefined;
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : 1;
}
