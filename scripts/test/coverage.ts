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

const TEST_LINE = /^- `([^`]+\.ts)`: (.+)$/;
const NAMED_BY_CODE = /\$\{/;

/** Reads `## area`, `### capability` and the test lines below it: - `file`: name of the test. */
export function readCoverage(markdown: string): Coverage {
  const entries: CoveredBy[] = [];
  const problems: string[] = [];
  const shown = new Map<string, number>();
  let [area, capability] = ["", ""];
  for (const [at, line] of markdown.split("\n").entries()) {
    if (line.startsWith("## ")) [area, capability] = [line.slice(3), ""];
    else if (line.startsWith("### ")) {
      capability = line.slice(4);
      if (shown.has(capability)) problems.push(`line ${at + 1}: ${capability}: is there twice`);
      shown.set(capability, shown.get(capability) ?? 0);
    } else if (line.startsWith("- ")) {
      const [, file = "", test = ""] = TEST_LINE.exec(line) ?? [];
      if (file === "" || capability === "") problems.push(`line ${at + 1}: no test of a capability: ${line}`);
      else {
        entries.push({ area, capability, file, test });
        shown.set(capability, (shown.get(capability) ?? 0) + 1);
      }
    }
  }
  for (const [name, tests] of shown) if (tests === 0) problems.push(`${name}: names no test`);
  return { entries, problems };
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
