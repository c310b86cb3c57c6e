// SPDX-License-Identifier: Apache-2.0
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ensureAptPackages } from "../../scripts/cluster/apt.ts";
import { createProgress } from "../../scripts/cluster/progress.ts";

const PROVE = fileURLToPath(new URL("../../examples/python/prove.py", import.meta.url));
const TIMEOUT_MS = 60_000;

/** What examples/python/prove.py found; it fails exactly when `failures` are there. */
export interface PythonProof {
  failures: string[];
  [figure: string]: unknown;
}

/** Runs examples/python/prove.py; Python is installed when it is missing. @throws Error when it prints no result */
export async function provePython(args: readonly string[]): Promise<PythonProof> {
  const isThere = (process.env.PATH ?? "").split(":").some((folder) => existsSync(`${folder}/python3`));
  if (!isThere) await ensureAptPackages(["python3"], { progress: createProgress() });
  return await new Promise((resolve, reject) => {
    execFile("python3", [PROVE, ...args], { timeout: TIMEOUT_MS }, (error, stdout, stderr) => {
      const last = stdout.trim().split("\n").at(-1) ?? "";
      if (!last.startsWith("{")) return reject(new Error(`prove.py printed no result:\n${stderr}`, { cause: error }));
      const proof = JSON.parse(last) as PythonProof;
      if ((error === null) !== (proof.failures.length === 0)) return reject(new Error(`its exit is wrong: ${last}`));
      resolve(proof);
    });
  });
}
