// SPDX-License-Identifier: Apache-2.0
// `node --import ./bench/operator/pass-probe.ts operator/main.ts`: measures the CPU of each pass, and tells on SIGUSR2 what the passes
// since the last time took, as a line of JSON.
import { nearestRank } from "#lib/nearest-rank.ts";
import { WorkQueue } from "../../operator/kube/work-queue.ts";

/** What the passes took; CPU in ms, of all threads of the process while a pass ran. */
export interface PassFigures {
  passes: number;
  cpuP50Ms: number;
  cpuP99Ms: number;
  cpuMaxMs: number;
  /** Of them together. */
  cpuSumMs: number;
  /** Of the process, between the passes too. */
  cpuAllMs: number;
}

let cpuMs: number[] = [];
let told = process.cpuUsage();
const run = WorkQueue.prototype.run;

WorkQueue.prototype.run = function (this: WorkQueue, workers, fn, onError) {
  // With one worker all that the process does meanwhile counts as the pass's: watches, garbage collection.
  const measured: typeof fn = async (key) => {
    const before = process.cpuUsage();
    try {
      return await fn(key);
    } finally {
      cpuMs.push(milliseconds(process.cpuUsage(before)));
    }
  };
  return run.call(this, workers, measured, onError);
};

process.on("SIGUSR2", () => {
  const sorted = cpuMs.sort((a, b) => a - b);
  const figures: PassFigures = {
    passes: sorted.length,
    cpuP50Ms: nearestRank(sorted, 0.5),
    cpuP99Ms: nearestRank(sorted, 0.99),
    cpuMaxMs: sorted.at(-1) ?? 0,
    cpuSumMs: Math.round(sorted.reduce((sum, ms) => sum + ms, 0)),
    cpuAllMs: milliseconds(process.cpuUsage(told)),
  };
  cpuMs = [];
  told = process.cpuUsage();
  console.log(JSON.stringify({ passFigures: figures }));
});

function milliseconds({ user, system }: NodeJS.CpuUsage): number {
  return Math.round((user + system) / 100) / 10;
}
