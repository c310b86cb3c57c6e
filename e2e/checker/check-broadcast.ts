// SPDX-License-Identifier: Apache-2.0
import { getOrMake } from "./get-or-make.ts";
import type { IndexedHistory } from "./index-history.ts";
import { type Report, reporter } from "./violation.ts";

/** Who is to see each broadcast. Users may be added to one later. */
function targetsOf(index: IndexedHistory): Map<string, Set<string>> {
  const targets = new Map<string, Set<string>>();
  for (const event of index.others) {
    if (event.op !== "broadcast" || event.kind !== "invoke") continue;
    const all = getOrMake(targets, event.id, () => new Set<string>());
    for (const uid of event.targets ?? []) all.add(uid);
  }
  return targets;
}

/** C9: every settled device of a broadcast's targets shows it once, nobody else's shows it. O(n). */
export function checkBroadcast(index: IndexedHistory, report: Report): void {
  const violate = reporter("C9", report);
  const targets = targetsOf(index);
  const shown = new Map<string, Map<string, number>>();
  for (const event of index.others) {
    if (event.op !== "broadcast" || event.kind === "invoke") continue;
    const uid = event.uid ?? "";
    const key = `${uid}/${event.device ?? ""}`;
    const counts = getOrMake(shown, event.id, () => new Map<string, number>());
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
