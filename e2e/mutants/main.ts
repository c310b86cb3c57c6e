// SPDX-License-Identifier: Apache-2.0
// `make mutants`: plants every bug of list.ts in a copy of the tree, and counts those that the simulation or, where they
// are not in it, the fitting tests notice. NAME=text runs those whose name holds the text.
import { unusable } from "../../scripts/cluster/arguments.ts";
import { describeFault } from "../../scripts/cluster/fault.ts";
import { CALM_EVERY, ENTRIES_AT, FAST_WAY_EVERY, REDIS_AT, RESTORE_AT } from "../sim/plan.ts";
import { MUTANTS } from "./list.ts";
import type { Mutant } from "./mutant.ts";
import { Sandbox } from "./sandbox.ts";

const SEEDS = 300;
const SIM_TIMEOUT_MS = 120_000;
const TEST_TIMEOUT_MS = 240_000;
const MISSED_ALLOWED = 1;

/** How one mutant fared. */
interface Verdict {
  name: string;
  /** `sim: C1 lost`, `test: file`, or "" when nobody noticed. */
  caughtBy: string;
  seconds: number;
}

/** First seed, and from one to the next. */
const RANGES = {
  all: [1, 1],
  calm: [CALM_EVERY, CALM_EVERY],
  "fast way": [1, FAST_WAY_EVERY],
  restored: [RESTORE_AT, CALM_EVERY],
  entries: [ENTRIES_AT, CALM_EVERY],
  redis: [REDIS_AT, CALM_EVERY],
} as const;

/** Found nothing before its time was over. */
const OUT_OF_TIME = 124;

/** The crash points of the simulation. */
async function byCrashPoints(sandbox: Sandbox, operation: string): Promise<string> {
  const args = ["e2e/sim/crash-points.ts", "--first", "--only", operation];
  const { code, output } = await sandbox.run(args, SIM_TIMEOUT_MS);
  if (code === 0 || code === OUT_OF_TIME) return "";
  const [, point, violation] = /^(\{"operation".*\})\n {2}(C\d+ [^:]*|sim [^:]*):/m.exec(output) ?? [];
  if (point !== undefined && violation !== undefined) return `sim: ${violation} (${point})`;
  throw new Error(`the crash points ended with ${code} and no violation:\n${output.slice(-2000)}`);
}

/** The first violation that the simulation found; "" when none. A run that cannot start is an error, not a catch. */
async function bySeeds(sandbox: Sandbox, seeds: number, range: readonly number[]): Promise<string> {
  const [from, every] = range.map(String) as [string, string];
  const args = ["e2e/sim/main.ts", "--first", "--seeds", String(seeds), "--from", from, "--every", every];
  const { code, output } = await sandbox.run(args, SIM_TIMEOUT_MS);
  if (code === 0 || code === OUT_OF_TIME) return "";
  const seed = /^seed (\d+)/m.exec(output)?.[1];
  const violation = /^ {2}(C\d+ [^:]*|sim [^:]*):/m.exec(output)?.[1];
  if (seed !== undefined && violation !== undefined) return `sim: ${violation} (seed ${seed})`;
  throw new Error(`the simulation ended with ${code} and no violation:\n${output.slice(-2000)}`);
}

async function byTests(sandbox: Sandbox, files: readonly string[]): Promise<string> {
  for (const file of files) {
    const { code } = await sandbox.run(["--test", "--test-timeout=120000", file], TEST_TIMEOUT_MS);
    if (code !== 0) return `test: ${file}`;
  }
  return "";
}

/** Tries one mutant; the sandbox is as before afterwards. */
export async function judge(sandbox: Sandbox, mutant: Mutant, seeds = SEEDS): Promise<Verdict> {
  const startedMs = performance.now();
  sandbox.plant(mutant);
  try {
    let caughtBy = "";
    if (mutant.crashPoints) caughtBy = await byCrashPoints(sandbox, mutant.crashPoints);
    const range = mutant.seeds === "none" ? undefined : RANGES[mutant.seeds ?? "all"];
    if (caughtBy === "" && range) caughtBy = await bySeeds(sandbox, seeds, range);
    if (caughtBy === "") caughtBy = await byTests(sandbox, mutant.tests ?? []);
    return { name: mutant.name, caughtBy, seconds: Math.round((performance.now() - startedMs) / 1000) };
  } finally {
    sandbox.restore();
  }
}

async function main(filter: string): Promise<number> {
  const chosen = MUTANTS.filter(({ name }) => name.includes(filter));
  if (chosen.length === 0) throw unusable("NAME", filter, "it is a part of a name in e2e/mutants/list-*.ts");
  const sandbox = new Sandbox();
  for (const [signal, number] of [
    ["SIGINT", 2],
    ["SIGTERM", 15],
  ] as const)
    process.once(signal, () => {
      sandbox.remove();
      process.exit(128 + number);
    });
  const verdicts: Verdict[] = [];
  try {
    for (const mutant of chosen) {
      const verdict = await judge(sandbox, mutant);
      verdicts.push(verdict);
      console.log(`${verdict.name}: ${verdict.caughtBy || "NOT CAUGHT"} in ${verdict.seconds} s`);
    }
  } finally {
    sandbox.remove();
  }
  const caught = verdicts.filter(({ caughtBy }) => caughtBy !== "");
  const bySim = caught.filter(({ caughtBy }) => caughtBy.startsWith("sim")).length;
  const missed = verdicts.filter(({ caughtBy }) => caughtBy === "").map(({ name }) => name);
  const summary = { planted: chosen.length, caught: caught.length, bySim, byTests: caught.length - bySim, missed };
  console.log(JSON.stringify(summary));
  return missed.length <= MISSED_ALLOWED && caught.length > 0 ? 0 : 1;
}

if (import.meta.main)
  try {
    process.exitCode = await main(process.argv[2] ?? "");
  } catch (error) {
    console.error(describeFault(error));
    process.exitCode = 1;
  }
