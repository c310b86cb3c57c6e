// SPDX-License-Identifier: Apache-2.0

import { inTurns } from "#lib/in-turns.ts";
import type { Pod } from "../../operator/kube/types.ts";
import { CliFault, EXIT, type ExitCode, usageFault } from "../fault.ts";
import { LogFollower } from "../log-follower.ts";
import { byTime, isAtLeast, jsonLine, type Level, type LogLine, prettyLine } from "../log-lines.ts";
import { containersOf, type LogRange, readLog } from "../pod-logs.ts";
import type { CommandContext } from "../run.ts";

const DEFAULT_TAIL = 50;
const MAX_CONTAINERS = 100;
/** What one container may contribute, so that all of them fit into memory. */
const MAX_BYTES = 4 * 1024 * 1024;
const AT_A_TIME = 8;

/** `logs [NAME]` */
export async function logs(context: CommandContext): Promise<ExitCode> {
  const { words, flags, terminal, signal, clock } = context;
  if (flags.output === "yaml") throw usageFault("logs come as text or json", "logs");
  const range = rangeOf(context);
  const access = context.access();
  const { name } = (await access.cluster(words[0])).metadata;
  const look = () => access.podsOf(name, flags.text("component"));
  const pods = await look();
  requireSome(name, flags.text("component"), pods);
  const print = printer(context, pods);
  const onProblem = (text: string): void => terminal.err(`${text}\n`);
  if (flags.isSet("follow")) {
    await new LogFollower({ access, clock, signal, look, print, onProblem }).run(pods, range);
    return EXIT.interrupted;
  }
  const read = await inTurns(containersOf(pods), AT_A_TIME, (source) =>
    readLog(access, source, { ...range, limitBytes: MAX_BYTES }),
  );
  print(read.flatMap(({ lines }) => lines));
  for (const { problem } of read) if (problem) onProblem(problem);
  return EXIT.ok;
}

/** `--tail` and `--since` as the API wants them. */
function rangeOf({ flags }: CommandContext): LogRange {
  const sinceMs = flags.ms("since");
  const tail = flags.number("tail");
  return {
    sinceSeconds: sinceMs === undefined ? undefined : Math.ceil(sinceMs / 1000),
    tailLines: tail ?? (sinceMs === undefined ? DEFAULT_TAIL : undefined),
  };
}

function requireSome(name: string, component: string | undefined, pods: readonly Pod[]): void {
  if (pods.length === 0)
    throw new CliFault(
      `${name} has no ${component ? `${component} ` : ""}pods`,
      `\`kubectl im status ${name}\` says why.`,
    );
  const containers = containersOf(pods).length;
  if (containers > MAX_CONTAINERS)
    throw new CliFault(`${containers} containers are too many at once`, "Name a part of them by --component.");
}

/** Prints the lines that pass `--level`, in the order of their times. */
function printer({ terminal, flags, paint }: CommandContext, pods: readonly Pod[]): (lines: LogLine[]) => void {
  const level = (flags.text("level") ?? "debug") as Level;
  const width = Math.max(...pods.map(({ metadata }) => metadata.name.length));
  const format = flags.output === "json" ? jsonLine : (line: LogLine) => prettyLine(line, width, paint);
  return (lines) => {
    const shown = lines.filter((line) => isAtLeast(line, level)).sort(byTime);
    terminal.out(shown.map(format).join(""));
  };
}
