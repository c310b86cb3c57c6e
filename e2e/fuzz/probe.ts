// SPDX-License-Identifier: Apache-2.0
// Loaded into the entry before its own code (`node --import`): what only the process itself knows, written to the file
// named by IM_FUZZ_PROBE. Each SIGUSR2 collects garbage, takes a sample and begins to count stalls anew.
import { writeFileSync } from "node:fs";
import { type MemoryNow, memoryNow } from "./memory-now.ts";
import { threadMs } from "./thread-time.ts";

/** What the probe saw since the last sample. */
export interface ProbeReport {
  /** Samples taken so far. */
  samples: number;
  /** At the last sample. */
  memory: MemoryNow;
  /** Longest turn of the event loop until the last sample, in ms of processor time of its thread. */
  maxStallMs: number;
  /** Errors that nobody caught; the first few as text. */
  uncaught: string[];
}

const PERIOD_MS = 10;
const MAX_UNCAUGHT = 5;

const path = process.env.IM_FUZZ_PROBE;
if (path !== undefined) {
  const report: ProbeReport = { samples: 0, memory: { rssBytes: 0, liveBytes: 0 }, maxStallMs: 0, uncaught: [] };
  let maxStallMs = 0;
  let atMs = performance.now();
  let cpuMs = threadMs();
  const write = (): void => writeFileSync(path, JSON.stringify(report));
  const look = (): void => {
    const [nowMs, nowCpuMs] = [performance.now(), threadMs()];
    const stallMs = Math.min(nowMs - atMs, nowCpuMs - cpuMs);
    if (stallMs > maxStallMs) maxStallMs = stallMs;
    [atMs, cpuMs] = [nowMs, nowCpuMs];
  };
  setInterval(look, PERIOD_MS).unref();
  process.on("uncaughtExceptionMonitor", (error) => {
    if (report.uncaught.length < MAX_UNCAUGHT) report.uncaught.push(error.stack ?? String(error));
    write();
  });
  process.on("SIGUSR2", () => {
    look();
    Object.assign(report, { samples: report.samples + 1, memory: memoryNow(), maxStallMs });
    maxStallMs = 0;
    write();
    [atMs, cpuMs] = [performance.now(), threadMs()];
  });
}
