// SPDX-License-Identifier: Apache-2.0
// `make test` and `make test-<suite>`: runs suites one after the other, with progress, a bound each, and counts at the end.
import { spawn } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundlePrograms } from "../bundle/bundle.ts";
import { writeBundle } from "../bundle/write.ts";
import { describeFault } from "../cluster/fault.ts";
import { notPassed } from "./coverage.ts";
import { readTree } from "./coverage-tree.ts";
import { prepare } from "./prepare.ts";
import type { Counts, Summary } from "./reporter.ts";

interface Suite {
  name: string;
  include: string[];
  exclude: RegExp;
  /** Test files that run at the same time. */
  concurrency: number;
  /** Of one test, and of a whole `describe`: on a busy machine it takes several times what it takes on a quiet one. */
  testTimeoutMs: number;
  suiteTimeoutMs: number;
  /** It runs the programs as the image has them, not the sources. */
  isOnBundle?: true;
}

const NEVER = /(^|\/)node_modules\//;
const INT = /\.int\.test\.ts$|(^|\/)node_modules\//;
const ALERTS = /^charts\/alerts\/|(^|\/)node_modules\//;
const MINUTE_MS = 60_000;

const SUITES: readonly Suite[] = [
  {
    name: "unit",
    include: [
      "{lib,proto,gateway,logic,operator,kubectl,probe,client,scripts,examples,bench}/**/*.test.ts",
      "e2e/{authz,campaign,checker,fuzz,harness,live,network,security,skew,smoke,workload}/**/*.test.ts",
    ],
    exclude: INT,
    concurrency: 2,
    testTimeoutMs: 4 * MINUTE_MS,
    suiteTimeoutMs: 15 * MINUTE_MS,
  },
  {
    name: "int",
    include: ["{lib,gateway,logic,operator,client,scripts,bench,e2e}/**/*.int.test.ts"],
    exclude: NEVER,
    concurrency: 2,
    testTimeoutMs: 6 * MINUTE_MS,
    suiteTimeoutMs: 20 * MINUTE_MS,
  },
  {
    name: "sim",
    include: ["e2e/{sim,model,mutants}/**/*.test.ts"],
    exclude: NEVER,
    concurrency: 2,
    testTimeoutMs: 5 * MINUTE_MS,
    suiteTimeoutMs: 12 * MINUTE_MS,
  },
  {
    name: "process",
    include: ["e2e/process/*.test.ts"],
    exclude: NEVER,
    concurrency: 1,
    testTimeoutMs: 6 * MINUTE_MS,
    suiteTimeoutMs: 30 * MINUTE_MS,
    isOnBundle: true,
  },
  {
    name: "operator",
    include: ["e2e/operator/*.test.ts"],
    exclude: NEVER,
    concurrency: 1,
    testTimeoutMs: 6 * MINUTE_MS,
    suiteTimeoutMs: 30 * MINUTE_MS,
  },
  {
    name: "charts",
    include: ["charts/**/*.test.ts"],
    exclude: ALERTS,
    concurrency: 2,
    testTimeoutMs: 10 * MINUTE_MS,
    suiteTimeoutMs: 18 * MINUTE_MS,
  },
  {
    name: "alerts",
    include: ["charts/alerts/*.test.ts"],
    exclude: NEVER,
    concurrency: 2,
    testTimeoutMs: 2 * MINUTE_MS,
    suiteTimeoutMs: 8 * MINUTE_MS,
  },
  {
    name: "dashboards",
    include: ["e2e/dashboards/*.test.ts"],
    exclude: NEVER,
    concurrency: 1,
    testTimeoutMs: 4 * MINUTE_MS,
    suiteTimeoutMs: 8 * MINUTE_MS,
  },
  {
    name: "docs",
    include: ["e2e/docs/*.test.ts"],
    exclude: NEVER,
    concurrency: 1,
    // One describe has all commands that are run: a minute on a quiet machine.
    testTimeoutMs: 12 * MINUTE_MS,
    suiteTimeoutMs: 15 * MINUTE_MS,
  },
  {
    name: "cluster",
    include: ["e2e/cluster/*.test.ts"],
    exclude: NEVER,
    concurrency: 1,
    testTimeoutMs: 25 * MINUTE_MS,
    suiteTimeoutMs: 40 * MINUTE_MS,
  },
];

const startedMs = performance.now();
const progress = (text: string): void =>
  console.log(`[${((performance.now() - startedMs) / 1000).toFixed(0).padStart(4)} s] ${text}`);

/** Set by Ctrl-C or SIGTERM: the suite that runs is ended, and no other one begins. */
let interruptedBy: NodeJS.Signals | undefined;
let endRunning = (): void => undefined;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    interruptedBy = signal;
    endRunning();
  });
}

/** Runs a command in its own process group; past the bound, or when interrupted, the whole group is ended. */
function run(command: string, args: string[], timeoutMs: number, env: Record<string, string> = {}): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: "inherit", env: { ...process.env, ...env }, detached: true });
    const end = (signal: NodeJS.Signals): void => {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, signal);
    };
    endRunning = () => end("SIGTERM");
    if (interruptedBy) endRunning();
    const timer = setTimeout(() => {
      progress(`over its bound of ${timeoutMs / MINUTE_MS} min: ended`);
      end("SIGKILL");
    }, timeoutMs);
    const settle = (code: number): void => {
      clearTimeout(timer);
      endRunning = () => undefined;
      resolve(code);
    };
    child.once("error", (error) => {
      console.error(`${command}: ${error.message}`);
      settle(127);
    });
    child.once("exit", (code, signal) => settle(code ?? (signal ? 1 : 0)));
  });
}

/** Nothing after a run that was killed. */
function readNames(path: string): string[] {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as string[];
  } catch {
    return [];
  }
}

function readSummary(path: string): Summary | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Summary;
  } catch {
    return undefined;
  }
}

interface Outcome extends Omit<Summary, "running"> {
  suite: string;
  seconds: number;
  /** Names of the tests that passed. */
  names?: readonly string[];
}

async function runSuite(suite: Suite): Promise<Outcome> {
  const files = suite.include
    .flatMap((pattern) => globSync(pattern))
    .filter((file) => !suite.exclude.test(file))
    .sort();
  progress(`${suite.name}: ${files.length} files`);
  const begunMs = performance.now();
  const folder = mkdtempSync(join(tmpdir(), "im-test-"));
  const countsPath = join(folder, "counts.json");
  const passedPath = join(folder, "passed.json");
  const args = [
    "--import=./scripts/test/exit-check.ts",
    "--test",
    `--test-concurrency=${suite.concurrency}`,
    `--test-timeout=${suite.testTimeoutMs}`,
    "--test-reporter=./scripts/test/reporter.ts",
    "--test-reporter-destination=stdout",
    ...files,
  ];
  const env: Record<string, string> = { IM_TEST_COUNTS: countsPath, IM_TEST_PASSED: passedPath };
  if (suite.isOnBundle) {
    env.IM_TEST_BUILD = join(folder, "programs");
    writeBundle(await bundlePrograms(), env.IM_TEST_BUILD);
  }
  const code = files.length === 0 ? 1 : await run(process.execPath, args, suite.suiteTimeoutMs, env);
  const names = readNames(passedPath);
  const counts = readSummary(countsPath) ?? { passed: 0, failed: 0, skipped: 0, failures: [], running: [] };
  rmSync(folder, { recursive: true });
  if (code !== 0 && counts.failed === 0) {
    counts.failed = 1;
    const running = counts.running.length > 0 ? `; begun and not ended: ${counts.running.join(", ")}` : "";
    counts.failures.push(`the ${suite.name} suite ended with ${code} and named no failed test${running}`);
  }
  const seconds = Math.round((performance.now() - begunMs) / 1000);
  progress(
    `${suite.name}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped in ${seconds} s`,
  );
  return { suite: suite.name, ...counts, seconds, names };
}

/** Did every test pass that docs/coverage.md names? */
function checkCoverage(outcomes: readonly Outcome[]): Outcome {
  const { entries, problems } = readTree();
  const passed = new Set(outcomes.flatMap(({ names = [] }) => names));
  const failures = [...problems, ...notPassed(entries, passed)];
  progress(`coverage: ${entries.length} tests are named, ${failures.length} did not pass`);
  const counts = { passed: failures.length === 0 ? 1 : 0, failed: failures.length, skipped: 0 };
  return { suite: "coverage", ...counts, failures, seconds: 0 };
}

async function runChecks(): Promise<Outcome> {
  progress("check: format, lint, types, generated files");
  const begunMs = performance.now();
  const code = await run("make", ["--no-print-directory", "-s", "check"], 5 * MINUTE_MS);
  const seconds = Math.round((performance.now() - begunMs) / 1000);
  progress(`check: ${code === 0 ? "passed" : "failed"} in ${seconds} s`);
  const failures = code === 0 ? [] : ["make check: see its output above"];
  return { suite: "check", passed: code === 0 ? 1 : 0, failed: failures.length, skipped: 0, failures, seconds };
}

async function main(wanted: string): Promise<void> {
  const suites = wanted === "all" ? SUITES : SUITES.filter((suite) => suite.name === wanted);
  if (suites.length === 0) {
    console.error(`no suite ${wanted}: one of all, ${SUITES.map((suite) => suite.name).join(", ")}`);
    process.exit(2);
  }
  const outcomes: Outcome[] = wanted === "all" ? [await runChecks()] : [];
  if (!interruptedBy) await prepare(suites.map((suite) => suite.name));
  for (const suite of suites) {
    if (interruptedBy) break;
    outcomes.push(await runSuite(suite));
  }
  if (interruptedBy) {
    console.log(`interrupted by ${interruptedBy}: suites after ${outcomes.at(-1)?.suite ?? "none"} did not run`);
    process.exit(130);
  }
  if (wanted === "all") outcomes.push(checkCoverage(outcomes));
  const sum = (key: keyof Counts): number => outcomes.reduce((total, outcome) => total + outcome[key], 0);
  const seconds = Math.round((performance.now() - startedMs) / 1000);
  // Again at the end: the place where they happened may be thousands of lines above.
  for (const { suite, failures } of outcomes) for (const line of failures) console.log(`✖ ${suite}: ${line}`);
  console.log(`\n${sum("passed")} passed, ${sum("failed")} failed, ${sum("skipped")} skipped`);
  const bySuite = Object.fromEntries(
    outcomes.map((o) => [o.suite, { passed: o.passed, failed: o.failed, seconds: o.seconds }]),
  );
  console.log(
    JSON.stringify({ passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped"), seconds, suites: bySuite }),
  );
  process.exit(sum("failed") === 0 && sum("passed") > 0 && sum("skipped") === 0 ? 0 : 1);
}

try {
  await main(process.argv[2] ?? "all");
} catch (error) {
  console.error(describeFault(error));
  process.exit(1);
}
