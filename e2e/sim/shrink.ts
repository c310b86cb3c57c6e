// SPDX-License-Identifier: Apache-2.0
import type { Fault, Plan } from "./plan.ts";
import { type RunResult, runSeed } from "./run.ts";

/**
 * Leaves out faults, then halves of the operations, as long as a violation of the same check stays. At most `maxRuns`
 * runs; the result of the smallest plan that still fails.
 */
export async function shrink(failed: RunResult, plan: Plan, maxRuns = 60): Promise<{ plan: Plan; result: RunResult }> {
  const wanted = failed.violations[0]?.check;
  let best = { plan, result: failed };
  let runs = 0;
  const tries = async (smaller: Plan): Promise<boolean> => {
    if (runs++ >= maxRuns) return false;
    const result = await runSeed(failed.seed, smaller);
    if (!result.violations.some(({ check }) => check === wanted)) return false;
    best = { plan: smaller, result };
    return true;
  };
  for (const fault of plan.faults) await tries({ ...best.plan, faults: without(best.plan.faults, fault) });
  for (let size = plan.ops.length >> 1; size >= 8; size >>= 1) {
    for (let from = 0; from < best.plan.ops.length; ) {
      const ops = best.plan.ops.toSpliced(from, size);
      if (!(await tries({ ...best.plan, ops }))) from += size;
    }
  }
  return best;
}

function without(faults: readonly Fault[], fault: Fault): Fault[] {
  return faults.filter((one) => one !== fault);
}
