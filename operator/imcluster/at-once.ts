// SPDX-License-Identifier: Apache-2.0

/** Runs `work` for every item, at most `limit` at a time, the next as soon as one is done. Rejects with the first fault; others go on. */
export async function atOnce<T>(items: readonly T[], limit: number, work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items.values();
  const lane = async (): Promise<void> => {
    for (const item of waiting) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
}
