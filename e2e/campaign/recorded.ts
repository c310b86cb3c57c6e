// SPDX-License-Identifier: Apache-2.0
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { ClusterFault } from "../../scripts/cluster/fault.ts";
import { checkHistory, type HistoryReport } from "../checker/check-history.ts";
import { type FinalState, type HistoryEvent, readHistory } from "../checker/history.ts";
import type { Violation } from "../checker/violation.ts";
import { paceOf } from "./schedule.ts";

/** What a campaign leaves for people. */
export interface Recording {
  events: readonly HistoryEvent[];
  violations: readonly Violation[];
  /** Absent when the campaign broke off before the end was read. */
  final?: FinalState | undefined;
  logPaths: readonly string[];
}

const HISTORY = "history.jsonl";
const FINAL = "final.json";

/** Checks a campaign's history; everybody in it has a device, and pushes are due to all. */
export function checkCampaign(seed: number, events: readonly HistoryEvent[], final: FinalState): HistoryReport {
  return checkHistory(events, final, { expectsNotice: true, isNotifyStrict: paceOf(seed) === "apart" });
}

/** Writes history, final state, violations and logs into `folder`. */
export function keepRecording(folder: string, { events, violations, final, logPaths }: Recording): void {
  mkdirSync(folder, { recursive: true });
  const lines = (items: readonly unknown[]): string => items.map((item) => `${JSON.stringify(item)}\n`).join("");
  writeFileSync(join(folder, HISTORY), lines(events));
  writeFileSync(join(folder, "violations.jsonl"), lines(violations));
  if (final) writeFileSync(join(folder, FINAL), JSON.stringify(final));
  for (const path of logPaths) copyFileSync(path, join(folder, basename(path)));
}

/** Checks a kept history once more. @throws {ClusterFault} when the folder has none, or the campaign broke off */
export async function checkRecording(folder: string): Promise<HistoryReport> {
  const missing = [HISTORY, FINAL].find((name) => !existsSync(join(folder, name)));
  if (missing !== undefined)
    throw new ClusterFault(
      `${folder} has no ${missing}: it is no recording, or its campaign broke off.`,
      "Name a folder that `make campaign KEEP=folder` wrote.",
    );
  const final = JSON.parse(readFileSync(join(folder, FINAL), "utf8")) as FinalState;
  const events = await readHistory(join(folder, HISTORY));
  return checkCampaign(Number(events[0]?.seed), events, final);
}
