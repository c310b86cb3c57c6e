// SPDX-License-Identifier: Apache-2.0
import { execFile } from "node:child_process";
import { join } from "node:path";
import { type Findings, noFindings } from "./lanes.ts";

/** Far more than it takes: a machine may be busy. */
const TIMEOUT_MS = 60 * 60_000;
const TAIL_CHARS = 2000;

/** Runs the inputs that need no socket in a process of its own; one that dies is a crash. */
export function runMemoryProcess(seed: number, inputs: number, only?: string): Promise<Findings> {
  const script = join(import.meta.dirname, "memory-main.ts");
  const args = ["--expose-gc", script, String(seed), String(inputs), ...(only === undefined ? [] : [only])];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { timeout: TIMEOUT_MS }, (error, stdout, stderr) => {
      resolve(error ? dead(`${error.message}\n${stderr}`) : (JSON.parse(lastLine(stdout)) as Findings));
    });
  });
}

function lastLine(text: string): string {
  return text.trimEnd().split("\n").at(-1) ?? "";
}

function dead(why: string): Findings {
  const failures = [`in memory: the process ended: ${why.slice(-TAIL_CHARS)}`];
  return { ...noFindings(), crashes: 1, failures };
}
