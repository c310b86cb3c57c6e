// SPDX-License-Identifier: Apache-2.0
import { COMMANDS, type CommandSpec, type FlagSpec, findCommand, GLOBAL_FLAGS } from "./commands.ts";
import { usageFault } from "./fault.ts";
import { type Paint, PLAIN, table, wrapped } from "./text.ts";

const WIDTH = 100;

/** The commands, or one of them. @throws CliFault when there is no such command */
export function helpText(words: readonly string[], paint: Paint): string {
  const name = words.join(" ");
  if (name === "") return overview(paint);
  const command = findCommand(name);
  if (!command) throw usageFault(`there is no command ${JSON.stringify(name)}`);
  return ofCommand(command, paint);
}

function overview(paint: Paint): string {
  const rows = COMMANDS.map((command) => [`  ${usageOf(command)}`, command.summary]);
  return [
    "kubectl im: looks after ImClusters.\n\n",
    ...tableBody(rows),
    `\n${paint.bold("Every command takes")}\n`,
    ...tableBody(GLOBAL_FLAGS.map(flagRow)),
    "\nExit codes: 0 done, 1 failed, 2 wrong command line, 3 something looked at is not in order, 130 interrupted.\n",
  ].join("");
}

function ofCommand(command: CommandSpec, paint: Paint): string {
  return [
    `kubectl im ${usageOf(command)}: ${command.summary}.\n`,
    command.more ? `\n${wrapped(command.more, WIDTH)}\n` : "",
    command.flags.length > 0 ? `\n${paint.bold("Flags")}\n` : "",
    ...tableBody(command.flags.map(flagRow)),
    `\n${paint.bold("Every command takes")}\n`,
    ...tableBody(GLOBAL_FLAGS.map(flagRow)),
    command.rights.length > 0 ? `\n${paint.bold("Rights")}  ${command.rights.join("; ")}\n` : "",
  ].join("");
}

export function usageOf({ name, arguments: words }: CommandSpec): string {
  const shown = words.map((word) => (word.isOptional ? `[${word.name}]` : word.name));
  return [name, ...shown].join(" ");
}

function flagRow({ name, short, value, help }: FlagSpec): string[] {
  return [`  ${short ? `-${short}, ` : "    "}--${name}${value ? ` ${value}` : ""}`, help];
}

/** Rows without a line of headings. */
function tableBody(rows: readonly string[][]): string[] {
  if (rows.length === 0) return [];
  return [table(["", ""], rows, PLAIN).replace(/^.*\n/, "")];
}
