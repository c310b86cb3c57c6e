// SPDX-License-Identifier: Apache-2.0

/**
 * Percentile by the nearest rank: the smallest value that at least this share of all is not above.
 *
 * @param sorted ascending
 * @param ratio above 0, at most 1
 * @returns 0 of no values
 */
export function nearestRank(sorted: ArrayLike<number>, ratio: number): number {
  return sorted[Math.ceil(sorted.length * ratio) - 1] ?? 0;
}
