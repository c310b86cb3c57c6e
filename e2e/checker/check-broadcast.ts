// SPDX-License-Identifier: Apache-2.0
import type { IndexedHistory } from "./index-history.ts";
import { type Report, reporter } from "./violation.ts";

/** C9: every settled device of a broadcast's targets shows it once, nobody else's shows it. O(n). */
export function checkBroadcast(index: IndexedHistory, report: Report): void {
  const violate = reporter("C9", report);
  const targets = new Map<string, Set<string>>();
  const shown = new Map<string, Map<string, number>>();
  for (const event of index.others) {
    if (event.op !== "broadcast") continue;
    if (event.kind === "invoke") {
      targets.set(event.id, new Set(event.targets));
      continue;
    }
    const uid = event.uid ?? "";
    const key = `${uid}/${event.device ?? ""}`;
    const counts = shown.get(event.id) ?? new Map<string, number>();
    shown.set(event.id, counts);
    const count = (counts.get(key) ?? 0) + 1;
    counts.set(key, count);
    if (count === 2) violate("twice", `broadcast ${event.id} was shown twice on ${key}`);
    if (!targets.get(event.id)?.has(uid))
      violate("stranger", `broadcast ${event.id} was shown to ${uid}, who is no target`);
  }
  for (const [id, uids] of targets)
    for (const view of index.devices)
      if (view.isSettled && uids.has(view.uid) && !shown.get(id)?.has(`${view.uid}/${view.device}`))
        violate("missed", `broadcast ${id} never reached ${view.uid}/${view.device}`);
}
