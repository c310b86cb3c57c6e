// SPDX-License-Identifier: Apache-2.0
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { applyMutant, type Mutant } from "./mutant.ts";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** What the simulation and the tests of mutants need. */
const COPIED = ["package.json", "tsconfig.json", "lib", "proto", "gateway", "logic", "client", "e2e", "scripts"];

/** How a command ended. */
export interface Ended {
  code: number;
  output: string;
}

/** A copy of the tree in which product code may be changed. */
export class Sandbox {
  readonly #folder = mkdtempSync(join(tmpdir(), "im-mutants-"));
  #changed: string[] = [];

  constructor() {
    const isOurs = (path: string): boolean => !/node_modules|\/client\/dist/.test(path);
    for (const name of COPIED) cpSync(join(ROOT, name), join(this.#folder, name), { recursive: true, filter: isOurs });
    symlinkSync(join(ROOT, "node_modules"), join(this.#folder, "node_modules"));
  }

  /** @throws {PatchError} when the mutant does not fit the tree */
  plant(mutant: Mutant): void {
    const texts = applyMutant(mutant, (file) => readFileSync(join(ROOT, file), "utf8"));
    for (const [file, text] of texts) writeFileSync(join(this.#folder, file), text);
    this.#changed = [...texts.keys()];
  }

  /** The tree as it was. */
  restore(): void {
    for (const file of this.#changed) cpSync(join(ROOT, file), join(this.#folder, file));
    this.#changed = [];
  }

  /** Runs node in the copy; past `timeoutMs` it is ended with code 124. */
  run(args: readonly string[], timeoutMs: number): Promise<Ended> {
    return new Promise((resolve) => {
      const child = spawn(process.execPath, [...args], { cwd: this.#folder, detached: true });
      let output = "";
      const keep = (chunk: Buffer): void => {
        output = (output + chunk.toString("utf8")).slice(-100_000);
      };
      child.stdout.on("data", keep);
      child.stderr.on("data", keep);
      let isLate = false;
      const timer = setTimeout(() => {
        isLate = true;
        // The whole group: workers of the simulation too.
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      }, timeoutMs);
      child.once("error", (error) => {
        output += String(error);
      });
      child.once("close", (code) => {
        clearTimeout(timer);
        resolve({ code: isLate ? 124 : (code ?? 1), output });
      });
    });
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }
}
