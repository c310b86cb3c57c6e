// SPDX-License-Identifier: Apache-2.0
// One worker of main.ts: runs the seeds it is given and answers with what each came to.
import { describeViolations } from "./report.ts";
import { runSeed } from "./run.ts";

/** To a worker: the next seeds. */
export interface WorkOrder {
  from: number;
  count: number;
  /** From one seed to the next. */
  every: number;
}

/** From a worker: sums over one order. */
export interface WorkDone {
  seeds: number;
  ops: number;
  faults: number;
  failed: { seed: number; lines: string[] }[];
}

async function work({ from, count, every }: WorkOrder): Promise<WorkDone> {
  const done: WorkDone = { seeds: 0, ops: 0, faults: 0, failed: [] };
  for (let at = 0; at < count; at++) {
    const seed = from + at * every;
    const result = await runSeed(seed);
    done.seeds++;
    done.ops += result.ops;
    done.faults += result.faults;
    if (result.violations.length > 0) done.failed.push({ seed, lines: describeViolations(result) });
  }
  return done;
}

if (process.send) {
  // Lost answers are errors by the thousand, and a replay shows where a thrown one came from.
  Error.stackTraceLimit = 0;
  process.on("message", (order: WorkOrder) => {
    work(order).then(
      (done) => process.send?.(done),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  });
}
