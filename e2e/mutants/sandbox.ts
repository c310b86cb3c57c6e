// SPDX-License-Identifier: Apache-2.0
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { applyMutant, type Mutant } from "./mutant.ts";
import { type Ended, runTied } from "./tied.ts";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** What the simulation and the tests of mutants need. */
const COPIED = ["package.json", "tsconfig.json", "lib", "proto", "gateway", "logic", "client", "e2e", "scripts"];

/** A copy of the tree in which product code may be changed. */
export class Sandbox {
  readonly #folder = mkdtempSync(join(tmpdir(), "im-mutants-"));
  readonly #end = new AbortController();
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

  /** Runs node in the copy; past `timeoutMs` it is ended with code 124. It dies with this process, however that ends. */
  run(args: readonly string[], timeoutMs: number): Promise<Ended> {
    return runTied([process.execPath, ...args], { cwd: this.#folder, timeoutMs, signal: this.#end.signal });
  }

  /** Ends what runs in it, too. */
  remove(): void {
    this.#end.abort();
    // What was ended a moment ago may still write.
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 10 });
  }
}
