// SPDX-License-Identifier: Apache-2.0
import type { HistoryEvent } from "../checker/history.ts";
import { CHECK_NAMES } from "../checker/violation.ts";
import type { RunResult } from "./run.ts";

const MAX_LINES = 12;

/** What a failed seed violated, a line each. */
export function describeViolations({ violations }: Pick<RunResult, "violations">): string[] {
  const lines = violations.slice(0, MAX_LINES).map(({ check, kind, message }) => {
    const name = check === "sim" ? "simulation" : CHECK_NAMES[check];
    return `${check} ${name}, ${kind}: ${message}`;
  });
  if (violations.length > MAX_LINES) lines.push(`... and ${violations.length - MAX_LINES} more`);
  return lines;
}

/** One event of a history for people. */
export function describeEvent({ seed: _, atMs, op, process, ...rest }: HistoryEvent): string {
  const time = (atMs / 1000).toFixed(3).padStart(8);
  const details = Object.entries(rest)
    .filter(([key]) => key !== "bodyHash")
    .map(([key, value]) => `${key}=${typeof value === "object" ? JSON.stringify(value) : String(value)}`);
  return `${time} ${op.padEnd(10)} ${process.padEnd(24)} ${details.join(" ")}`;
}
