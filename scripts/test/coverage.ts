// SPDX-License-Identifier: Apache-2.0
// docs/coverage.md names, for each thing that the product can do, the tests that show it. Here it is read, and held to the tree and to a run.

/** One test that shows a capability. */
export interface CoveredBy {
  readonly area: string;
  readonly capability: string;
  readonly file: string;
  readonly test: string;
}

/** What the document says, and lines of it that say nothing. */
export interface Coverage {
  readonly entries: readonly CoveredBy[];
  readonly problems: readonly string[];
}

const LINE = /^(##|###|-) (.+)$/;
const TEST = /^`([^`]+\.ts)`: (.+)$/;
const NAMED_BY_CODE = /\$\{/;

/** Reads `## area`, `### capability` and the test lines below it: - `file`: name of the test. */
export function readCoverage(markdown: string): Coverage {
  const entries: CoveredBy[] = [];
  const problems: string[] = [];
  const shown = new Set<string>();
  let [area, capability] = ["", ""];
  for (const [at, line] of markdown.split("\n").entries()) {
    const [, mark, words = ""] = LINE.exec(line) ?? [];
    if (mark === "##") [area, capability] = [words, ""];
    else if (mark === "###") {
      if (shown.has(words)) problems.push(`line ${at + 1}: ${words}: is there twice`);
      capability = words;
      shown.add(words);
    } else if (mark === "-") {
      const entry = entryOf(area, capability, words);
      if (entry) entries.push(entry);
      else problems.push(`line ${at + 1}: no test of a capability: ${line}`);
    }
  }
  const tested = new Set(entries.map((entry) => entry.capability));
  const untested = [...shown].filter((name) => !tested.has(name)).map((name) => `${name}: names no test`);
  return { entries, problems: [...problems, ...untested] };
}

function entryOf(area: string, capability: string, words: string): CoveredBy | undefined {
  const [, file, test] = TEST.exec(words) ?? [];
  return capability === "" || file === undefined || test === undefined ? undefined : { area, capability, file, test };
}

/** Tests that are not in their files, as far as the text of a file tells. @param read text of a file; undefined: there is none */
export function notInTree(entries: readonly CoveredBy[], read: (file: string) => string | undefined): string[] {
  return entries.flatMap(({ file, test }) => {
    const text = read(file);
    if (text === undefined) return [`${file}: no such file`];
    const isThere = ['"', "`", "'"].some((quote) => text.includes(`${quote}${test}${quote}`));
    return isThere ? [] : [`${file}: no test "${test}"`];
  });
}

/** As reporters name a test that passed. */
export const passedName = (file: string, test: string): string => `${file}: ${test}`;

/** Tests that are named and did not pass. Those whose names are made by code passed when any of such a name did. */
export function notPassed(entries: readonly CoveredBy[], passed: ReadonlySet<string>): string[] {
  return entries.flatMap(({ file, test }) => {
    const hasPassed = NAMED_BY_CODE.test(test)
      ? [...passed].some((name) => patternOf(file, test).test(name))
      : passed.has(passedName(file, test));
    return hasPassed ? [] : [`${file}: did not run, or did not pass: ${test}`];
  });
}

/** Of names such as `${kind}: ${what} ends the connection`. */
function patternOf(file: string, test: string): RegExp {
  const parts = passedName(file, test).split(/\$\{[^}]*\}/);
  return new RegExp(`^${parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(".*")}$`, "s");
}
