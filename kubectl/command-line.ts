// SPDX-License-Identifier: Apache-2.0
import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import { durationMs } from "../operator/imcluster/units.ts";
import { COMMANDS, type CommandSpec, type FlagSpec, findCommand, GLOBAL_FLAGS } from "./commands.ts";
import { usageFault } from "./fault.ts";

export type OutputFormat = "text" | "json" | "yaml";

/** A command line that was understood. */
export interface Invocation {
  command: CommandSpec;
  /** What stands behind the command's name. */
  words: readonly string[];
  flags: Flags;
}

/** Values of flags, as given. */
export class Flags {
  readonly #values: Readonly<Record<string, string | boolean | undefined>>;

  constructor(values: Readonly<Record<string, string | boolean | undefined>>) {
    this.#values = values;
  }

  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === "string" ? value : undefined;
  }

  isSet(name: string): boolean {
    return this.#values[name] === true;
  }

  /** @throws CliFault when it is no time such as 30s, or 0 */
  ms(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = /^(\d+(ms|s|m|h))+$/.test(text) ? durationMs(text) : 0;
    if (value > 0) return value;
    throw usageFault(`--${name} takes a time such as 30s or 5m, not ${JSON.stringify(text)}`);
  }

  /** @throws CliFault when it is no whole number from 0 on */
  number(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = Number(text);
    if (/^\d{1,9}$/.test(text)) return value;
    throw usageFault(`--${name} takes a whole number, not ${JSON.stringify(text)}`);
  }

  get output(): OutputFormat {
    return (this.text("output") ?? "text") as OutputFormat;
  }
}

/** @throws CliFault (usage) that names what is wrong */
export function parseCommandLine(args: readonly string[]): Invocation {
  const [first = "", second = ""] = firstWords(args);
  if (first === "") return helpFor(undefined);
  const command = findCommand(`${first} ${second}`) ?? findCommand(first);
  if (!command) throw usageFault(unknownCommand(first, second));
  const { values, positionals } = parseStrictly(args, command);
  const words = positionals.slice(command.name.split(" ").length);
  if (values.help === true) return helpFor(command.name);
  checkChoices(command, values);
  checkWords(command, words);
  return { command, words, flags: new Flags(values) };
}

function helpFor(name: string | undefined): Invocation {
  const command = findCommand("help");
  if (!command) throw new TypeError("there is no help");
  return { command, words: name === undefined ? [] : name.split(" "), flags: new Flags({}) };
}

function optionsOf(flags: readonly FlagSpec[]): ParseArgsOptionsConfig {
  return Object.fromEntries(
    flags.map(({ name, short, value }) => {
      const type = value === undefined ? "boolean" : "string";
      return [name, short === undefined ? { type } : { type, short }];
    }),
  );
}

/** Words before the first flag that may be of the command; flags of every command may stand before its name. */
function firstWords(args: readonly string[]): string[] {
  const options = optionsOf(GLOBAL_FLAGS);
  return parseArgs({ args: [...args], options, strict: false, allowPositionals: true }).positionals;
}

function parseStrictly(args: readonly string[], { name, flags }: CommandSpec) {
  try {
    const options = optionsOf([...GLOBAL_FLAGS, ...flags]);
    const { values, positionals } = parseArgs({ args: [...args], options, strict: true, allowPositionals: true });
    return { values: values as Record<string, string | boolean | undefined>, positionals };
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    // node's message goes on with advice about `--`, which helps nobody here.
    throw usageFault(`${name}: ${message.split(". ")[0]}`, name);
  }
}

function checkChoices(command: CommandSpec, values: Readonly<Record<string, string | boolean | undefined>>): void {
  for (const { name, choices } of [...GLOBAL_FLAGS, ...command.flags]) {
    const value = values[name];
    if (value === undefined || choices === undefined || choices.includes(String(value))) continue;
    throw usageFault(`--${name} takes ${listed(choices)}, not ${JSON.stringify(value)}`, command.name);
  }
}

function checkWords(command: CommandSpec, words: readonly string[]): void {
  const { name, arguments: wanted } = command;
  // "help install generate" is about one command.
  const most = name === "help" ? 2 : wanted.length;
  if (words.length > most) throw usageFault(`${name}: ${JSON.stringify(words[most])} is one word too many`, name);
  for (const [at, argument] of wanted.entries()) {
    const word = words[at];
    if (word === undefined && argument.isOptional) continue;
    if (word === undefined || word === "") throw usageFault(`${name} needs ${argument.name}`, name);
    if (argument.choices && !argument.choices.includes(word))
      throw usageFault(`${argument.name} is ${listed(argument.choices)}, not ${JSON.stringify(word)}`, name);
  }
}

function unknownCommand(first: string, second: string): string {
  const longer = COMMANDS.filter(({ name }) => name.startsWith(`${first} `)).map(({ name }) => name);
  if (longer.length > 0)
    return `${first} ${second}`.trim() === first
      ? `write ${listed(longer)}`
      : `there is no command ${JSON.stringify(`${first} ${second}`)}: write ${listed(longer)}`;
  const near = COMMANDS.map(({ name }) => name).find((name) => distance(name, first) <= 2);
  return `there is no command ${JSON.stringify(first)}${near ? `: did you mean ${near}?` : ""}`;
}

function listed(choices: readonly string[]): string {
  return choices.length === 1 ? (choices[0] ?? "") : `${choices.slice(0, -1).join(", ")} or ${choices.at(-1)}`;
}

/** Letters to change, add or remove; both words are short. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      const cost = letter === b[j] ? 0 : 1;
      next.push(Math.min((row[j] ?? 0) + cost, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
