// SPDX-License-Identifier: Apache-2.0

/** Memory of this process after a collection of garbage, bytes. */
export interface MemoryNow {
  rssBytes: number;
  /** Heap and buffers in use. */
  liveBytes: number;
}

/** Collects garbage first; needs --expose-gc to mean anything. */
export function memoryNow(): MemoryNow {
  globalThis.gc?.();
  // Gives free pages back, too.
  globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
  const { rss, heapUsed, external } = process.memoryUsage();
  return { rssBytes: rss, liveBytes: heapUsed + external };
}

const MIB = 1024 * 1024;

export function growthMiB(before: MemoryNow, after: MemoryNow): { rssGrowthMiB: number; liveGrowthMiB: number } {
  const round = (bytes: number): number => Math.round((bytes / MIB) * 10) / 10;
  return {
    rssGrowthMiB: round(after.rssBytes - before.rssBytes),
    liveGrowthMiB: round(after.liveBytes - before.liveBytes),
  };
}
