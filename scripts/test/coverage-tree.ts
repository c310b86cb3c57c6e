// SPDX-License-Identifier: Apache-2.0
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Coverage, notInTree, readCoverage } from "./coverage.ts";

const ROOT = join(import.meta.dirname, "../..");
const DOCUMENT = "docs/coverage.md";

/** The document of this tree, with what does not hold of it. */
export function readTree(): Coverage {
  const texts = new Map<string, string | undefined>();
  const read = (file: string): string | undefined => {
    const path = join(ROOT, file);
    if (!texts.has(file)) texts.set(file, existsSync(path) ? readFileSync(path, "utf8") : undefined);
    return texts.get(file);
  };
  const { entries, problems } = readCoverage(readFileSync(join(ROOT, DOCUMENT), "utf8"));
  const all = [...problems, ...notInTree(entries, read)].map((problem) => `${DOCUMENT}: ${problem}`);
  return { entries, problems: all };
}
