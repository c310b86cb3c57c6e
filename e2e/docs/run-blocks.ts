// SPDX-License-Identifier: Apache-2.0
// Runs blocks of commands as a reader would, in a folder that looks like the root of the tree, with a cluster of our own behind kubectl.
import { execFile } from "node:child_process";
import { mkdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { temporaryFolder } from "../harness/folders.ts";
import { ROOT } from "./tree.ts";

/** Of one block on a busy machine; on a quiet one it takes seconds. */
const TIMEOUT_MS = 240_000;
const MAX_OUTPUT_BYTES = 16 << 20;
const runFile = promisify(execFile);

/** How a command ended. */
export interface Ended {
  readonly code: number;
  readonly output: string;
}

/** Runs a program; a failure is a code. */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Ended> {
  const { cwd = ROOT, env = process.env } = options;
  try {
    const { stdout, stderr } = await runFile(program, args, {
      cwd,
      env,
      timeout: TIMEOUT_MS,
      maxBuffer: MAX_OUTPUT_BYTES,
    });
    return { code: 0, output: `${stdout}${stderr}` };
  } catch (error) {
    const {
      code,
      stdout = "",
      stderr = "",
      message,
    } = error as Error & { code?: unknown; stdout?: string; stderr?: string };
    return { code: typeof code === "number" ? code : 1, output: `${stdout}${stderr}` || message };
  }
}

/** A folder with links to what readers have, and the settings that make kubectl and helm use this cluster. */
export class Reader {
  readonly folder = temporaryFolder("imcluster-reader-");
  readonly #env: NodeJS.ProcessEnv;

  constructor(programs: { kubectl: string; helm: string }, kubeconfigPath: string) {
    for (const name of ["charts", "examples", "scripts", "crds"])
      symlinkSync(join(ROOT, name), join(this.folder, name));
    const home = join(this.folder, ".home");
    mkdirSync(home);
    const path = [dirname(programs.kubectl), dirname(programs.helm), process.env.PATH ?? ""].join(":");
    this.#env = { PATH: path, HOME: home, KUBECONFIG: kubeconfigPath, LANG: "C.UTF-8" };
  }

  /** Runs a block; the first command that fails ends it. */
  run(commands: string): Promise<Ended> {
    return this.program("bash", ["--norc", "--noprofile", "-euo", "pipefail", "-c", commands]);
  }

  program(name: string, args: readonly string[]): Promise<Ended> {
    return runProgram(name, args, { cwd: this.folder, env: this.#env });
  }
}
