// SPDX-License-Identifier: Apache-2.0
// `make sim`: many seeds on two workers. `make sim SEED=n`: one seed, its history, and the smallest plan that fails.
import { type ChildProcess, fork } from "node:child_process";
import { SEED_BOUNDS, wholeNumber } from "../../scripts/cluster/arguments.ts";
import { describeFault } from "../../scripts/cluster/fault.ts";
import type { WorkDone, WorkOrder } from "./worker.ts";

const WORKERS = 2;
/** Seeds of one order at most, and how many orders per worker are left at least: so both end at about the same time. */
const CHUNK = 20;
const ORDERS_LEFT = 4;
/**
 * A seed keeps little of the much that it allocates, and V8 leaves the young generation at 1 MB then: a tenth of a run was
 * its collections. 4 MB still fit into the caches of a core; 8 and 16 cost more than they save.
 */
const WORKER_FLAGS = ["--min-semi-space-size=4"];
const DEFAULT_SEEDS = 5000;
const MAX_SHOWN = 10;
const PROGRESS_EVERY = 500;

async function replay(seed: number, shouldShrink: boolean): Promise<number> {
  // Not above: whoever only gives orders to workers needs nothing of it.
  const [{ planOf }, { runSeed }, { shrink }] = await Promise.all([
    import("./plan.ts"),
    import("./run.ts"),
    import("./shrink.ts"),
  ]);
  const { describeEvent, describeViolations } = await import("./report.ts");
  const plan = planOf(seed);
  const result = await runSeed(seed, plan);
  const shown = result.violations.length > 0 && shouldShrink ? await shrink(result, plan) : { plan, result };
  for (const event of shown.result.history) console.log(describeEvent(event));
  const { ops, faults } = shown.plan;
  console.log(`\n${ops.length} of ${plan.ops.length} operations, ${faults.length} of ${plan.faults.length} faults:`);
  for (const fault of faults) console.log(`  ${(fault.atMs / 1000).toFixed(3)} ${fault.kind} ${JSON.stringify(fault)}`);
  for (const line of describeViolations(shown.result)) console.log(line);
  console.log(JSON.stringify({ seed, ops: result.ops, faults: result.faults, violations: result.violations.length }));
  return result.violations.length === 0 ? 0 : 1;
}

/** Which seeds: `count` of them, `every` apart. */
interface Range {
  from: number;
  count: number;
  every: number;
}

async function many({ from, count, every }: Range, stopAtFirst: boolean): Promise<number> {
  const total = { seeds: 0, ops: 0, faults: 0, violations: 0 };
  const failed: WorkDone["failed"] = [];
  const startedMs = performance.now();
  let taken = 0;
  const isOver = (): boolean => taken >= count || (stopAtFirst && failed.length > 0);
  const take = (done: WorkDone): void => {
    const before = total.seeds;
    total.seeds += done.seeds;
    total.ops += done.ops;
    total.faults += done.faults;
    total.violations += done.failed.length;
    for (const one of done.failed) {
      failed.push(one);
      if (failed.length > MAX_SHOWN) continue;
      console.log(`seed ${one.seed}: replay it with make sim SEED=${one.seed}`);
      for (const line of one.lines) console.log(`  ${line}`);
    }
    if (Math.floor(before / PROGRESS_EVERY) !== Math.floor(total.seeds / PROGRESS_EVERY))
      console.log(`${total.seeds} seeds in ${((performance.now() - startedMs) / 1000).toFixed(0)} s`);
  };
  const workers = Array.from({ length: WORKERS }, () =>
    attend(take, (): WorkOrder | undefined => {
      if (isOver()) return undefined;
      const size = stopAtFirst ? 1 : orderSize(count - taken);
      const order = { from: from + taken * every, count: size, every };
      taken += size;
      return order;
    }),
  );
  await Promise.all(workers);
  console.log(JSON.stringify(total));
  return total.violations === 0 && total.seeds > 0 ? 0 : 1;
}

/** How many seeds the next order takes of those that are `left`. */
function orderSize(left: number): number {
  return Math.max(1, Math.min(CHUNK, Math.floor(left / (WORKERS * ORDERS_LEFT))));
}

/** Gives a worker orders until there is none; rejects when it dies. */
function attend(take: (done: WorkDone) => void, order: () => WorkOrder | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const child: ChildProcess = fork(new URL("worker.ts", import.meta.url), {
      execArgv: [...process.execArgv, ...WORKER_FLAGS],
    });
    let isDone = false;
    const give = (): void => {
      const work = order();
      if (work) child.send(work);
      else {
        isDone = true;
        child.disconnect();
      }
    };
    child.on("message", (done: WorkDone) => {
      take(done);
      give();
    });
    child.once("exit", (code) => (isDone ? resolve() : reject(new Error(`a worker ended with ${code}`))));
    child.once("error", reject);
    give();
  });
}

/** Value of `--name value`. */
function option(name: string): string | undefined {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
}

async function main(): Promise<number> {
  const seed = option("seed");
  if (seed !== undefined)
    return await replay(wholeNumber("SEED", seed, SEED_BOUNDS), !process.argv.includes("--whole"));
  const number = (name: string, initial: number): number =>
    wholeNumber(name.toUpperCase(), option(name) ?? String(initial), SEED_BOUNDS);
  const range = { from: number("from", 1), count: number("seeds", DEFAULT_SEEDS), every: number("every", 1) };
  return await many(range, process.argv.includes("--first"));
}

if (import.meta.main)
  try {
    process.exitCode = await main();
  } catch (error) {
    console.error(describeFault(error));
    process.exitCode = 1;
  }
