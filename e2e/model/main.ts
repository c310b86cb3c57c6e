// SPDX-License-Identifier: Apache-2.0
// `make model`: many seeds of the simulated cluster, one JSON line at the end. `make model SEED=n`: one seed.
// `make model COST=1`: what one upgrade costs.
import { SEED_BOUNDS, wholeNumber } from "../../scripts/cluster/arguments.ts";
import { describeFault } from "../../scripts/cluster/fault.ts";
import { runSeed } from "./run.ts";
import { upgradeCosts } from "./upgrade-cost.ts";

const DEFAULT_SEEDS = 5_000;
const MAX_SHOWN = 10;
const PROGRESS_EVERY = 500;

/** Value of `--name value`. */
function option(name: string): string | undefined {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
}

if (process.argv.includes("--cost")) {
  for (const cost of upgradeCosts(1)) console.log(JSON.stringify(cost));
  process.exit(0);
}

/** The whole number behind `--name`. Leaves at once, with a sentence, when it is none. */
function seedsOf(name: string, byDefault: number): number {
  try {
    return wholeNumber(name.toUpperCase(), option(name) ?? String(byDefault), SEED_BOUNDS);
  } catch (error) {
    console.error(describeFault(error));
    process.exit(1);
  }
}

const isOne = option("seed") !== undefined;
const seeds = isOne ? 1 : seedsOf("seeds", DEFAULT_SEEDS);
const from = isOne ? seedsOf("seed", 1) : seedsOf("from", 1);
const total = { seeds: 0, minutes: 0, passes: 0, faults: 0, upgrades: 0, violations: 0 };
const startedMs = performance.now();
for (let seed = from; seed < from + seeds; seed++) {
  const { steps, passes, faults, upgrades, violations } = runSeed(seed);
  total.seeds++;
  total.minutes += steps / 120;
  total.passes += passes;
  total.faults += faults;
  total.upgrades += upgrades;
  if (violations.length > 0 && ++total.violations <= MAX_SHOWN) {
    console.log(`seed ${seed}: replay it with make model SEED=${seed}`);
    for (const line of violations) console.log(`  ${line}`);
  }
  if (total.seeds % PROGRESS_EVERY === 0)
    console.log(`${total.seeds} seeds in ${((performance.now() - startedMs) / 1000).toFixed(0)} s`);
}
console.log(JSON.stringify({ ...total, minutes: Math.round(total.minutes) }));
process.exitCode = total.violations === 0 && total.seeds > 0 ? 0 : 1;
