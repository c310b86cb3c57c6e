// SPDX-License-Identifier: Apache-2.0
// CHANGELOG.md follows Keep a Changelog; here its form is looked at.

const KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];
const VERSION = /^## \[(Unreleased|\d+\.\d+\.\d+)\](?: - \d{4}-\d{2}-\d{2})?$/;

/** What was read so far. */
class Reader {
  readonly problems: string[] = [];
  /** Line of each entry. */
  readonly #entries = new Map<string, number>();
  /** Of the version that is read. */
  #kinds = new Set<string>();
  version = "";

  line(text: string, number: number): void {
    const add = (problem: string): void => void this.problems.push(`line ${number}: ${problem}`);
    if (text.startsWith("## ")) this.#section(text, add);
    else if (text.startsWith("### ")) this.#kind(text.slice("### ".length), add);
    else if (text.startsWith("- ")) this.#entry(text, number, add);
    else if (text !== "" && this.version !== "" && !text.startsWith("  ")) add("neither heading nor entry");
  }

  #section(text: string, add: (problem: string) => void): void {
    const [, name] = VERSION.exec(text) ?? [];
    if (name === undefined) add("no version: ## [1.2.3] - 2026-11-27, or ## [Unreleased]");
    else if (this.version === "" && name !== "Unreleased") add("the first section is ## [Unreleased]");
    this.version = name ?? this.version;
    this.#kinds = new Set();
  }

  #kind(kind: string, add: (problem: string) => void): void {
    if (!KINDS.includes(kind)) add(`${kind} is none of ${KINDS.join(", ")}`);
    if (this.#kinds.has(kind)) add(`${kind} is there twice in ${this.version}`);
    this.#kinds.add(kind);
  }

  #entry(text: string, number: number, add: (problem: string) => void): void {
    if (this.#kinds.size === 0) add("stands below no kind of change");
    const before = this.#entries.get(text);
    if (before !== undefined) add(`says what line ${before} says`);
    this.#entries.set(text, number);
  }
}

/** What is wrong with its form, as `line: why`. */
export function changelogProblems(text: string): string[] {
  const reader = new Reader();
  for (const [index, line] of text.split("\n").entries()) reader.line(line, index + 1);
  return reader.version === "" ? [...reader.problems, "it has no section ## [Unreleased]"] : reader.problems;
}
