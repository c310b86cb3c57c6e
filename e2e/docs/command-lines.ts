// SPDX-License-Identifier: Apache-2.0
// Commands in blocks that are not run: what `helm` and `kubectl` are told there is looked at word by word.

/** One command: its program, and its words. */
export interface CommandLine {
  readonly program: string;
  readonly words: readonly string[];
}

/** Words of a line, with quotes taken off; ends at what a shell would not give to the program. */
function wordsOf(line: string): string[] {
  const words: string[] = [];
  for (const [word] of line.matchAll(/(?:"(?:\\.|[^"])*"|'[^']*'|\$\([^)]*\)|[^\s"'])+/g)) {
    if (/^(#|\||&&|\|\||;|>|<|&)/.test(word)) break;
    words.push(word.replace(/^(["'])(.*)\1$/s, "$2"));
    if (word.endsWith(";")) break;
  }
  return words;
}

/** Calls of a program in a block, after a prompt, a pipe, `sudo` or settings of variables, too. */
export function callsOf(program: string, text: string): CommandLine[] {
  const lines = text.replace(/\\\n\s*/g, " ").split("\n");
  return lines.flatMap((line) =>
    line
      .split(/(?:^|\s)(?:\||&&|;)\s/)
      .map((part) => part.trim().replace(/^(\$ |sudo |[A-Z_]+=\S* )+/, ""))
      .filter((part) => part.startsWith(`${program} `))
      .map((part) => ({ program, words: wordsOf(part).slice(1) })),
  );
}

/** Long flags, up to a `--` behind which they are another program's. */
export function longFlags(words: readonly string[]): string[] {
  const end = words.indexOf("--");
  return (end === -1 ? words : words.slice(0, end))
    .map((word) => /^--([a-z][a-z-]*)/.exec(word)?.[1])
    .filter((flag) => flag !== undefined);
}

/** The command of kubectl, with those of its commands that have some below them. */
export function verbsOf(words: readonly string[]): string[] {
  const plain = words.filter((word, at) => !word.startsWith("-") && words[at - 1] !== "-n");
  return plain.slice(0, { create: 3, rollout: 2, config: 2, auth: 2 }[plain[0] ?? ""] ?? 1);
}

/** `helm template` arguments that render what a `helm install` or `upgrade` of one of our charts would; undefined for other calls. */
export function templateOf(words: readonly string[]): string[] | undefined {
  const chart = words.find((word) => /^charts\/[\w-]+$/.test(word));
  if (chart === undefined || !["install", "upgrade", "template"].includes(words[0] ?? "")) return undefined;
  const settings = words.flatMap((word, at) => {
    if (/^(--set|--set-string|--values|-f)$/.test(word)) return [word, words[at + 1] ?? ""];
    return /^--(set|set-string|values)=/.test(word) ? [word] : [];
  });
  return ["template", "shown", chart, ...settings];
}
