// SPDX-License-Identifier: Apache-2.0
import type { Fleet } from "../e2e/harness/fleet.ts";

/** What was done so far, by kind. Other work on the machine does not change it: it tells more than CPU on a busy one. */
export type WorkCounts = Record<string, number>;

const ENTRY = { socketWrites: "im_entry_socket_writes_total" };
const LOGIC = {
  uplinkBatches: 'im_logic_batches_total{direction="in"}',
  downlinkBatches: 'im_logic_batches_total{direction="out"}',
  commits: "im_send_commit_messages_count",
};

/** Reads the counters of the fleet's first entry and logic; those that do not exist yet are 0. */
export async function countWork(fleet: Fleet): Promise<WorkCounts> {
  const counts: WorkCounts = {};
  for (const [service, names] of [
    [fleet.entry(0), ENTRY],
    [fleet.logic(0), LOGIC],
  ] as const) {
    const page = await service.metrics();
    for (const [kind, metric] of Object.entries(names)) counts[kind] = seriesValue(page, metric);
  }
  return counts;
}

/** Value of one series on a page of metrics. */
export function seriesValue(page: string, series: string): number {
  const line = page.split("\n").find((text) => text.startsWith(`${series} `));
  return line === undefined ? 0 : Number(line.slice(series.length + 1));
}

/** Per message, three digits. */
export function workPerMessage(before: WorkCounts, after: WorkCounts, messages: number): WorkCounts {
  const each = Object.entries(after).map(
    ([kind, count]) =>
      [kind, Math.round(((count - (before[kind] ?? 0)) * 1000) / Math.max(1, messages)) / 1000] as const,
  );
  return Object.fromEntries(each);
}
