// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import { Access } from "./access.ts";
import { type Flags, type Invocation, parseCommandLine } from "./command-line.ts";
import { candidates, completionScript } from "./completion.ts";
import { CliFault, EXIT, type ExitCode, faultOf } from "./fault.ts";
import { helpText } from "./help.ts";
import { harmless, type Paint, paintOf } from "./text.ts";
import { toYaml } from "./yaml-text.ts";

/** Where a run reads and writes; tests give their own. A command's own lets nothing through that a terminal would act on. */
export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** Of standard output. */
  isTty: boolean;
  /** All of standard input, as text. */
  readInput(): Promise<string>;
}

/** The world around a run. */
export interface Surroundings {
  terminal: Terminal;
  env: Readonly<Record<string, string | undefined>>;
  clock: Clock;
  /** Aborts on Ctrl-C. */
  signal: AbortSignal;
}

/** What a command works with. */
export interface CommandContext extends Surroundings {
  /** Its name. */
  command: string;
  words: readonly string[];
  flags: Flags;
  paint: Paint;
  /** Of each request. */
  timeoutMs: number;
  /** Opened at the first call, closed by whoever runs the command. */
  access(): Access;
  /** Prints one result: `text` for people, or `data` as -o says. */
  show(data: unknown, text: () => string): void;
}

/** A command's exit code; faults are thrown. */
export type Command = (context: CommandContext) => Promise<ExitCode>;

const DEFAULT_TIMEOUT_MS = 10_000;

/** Loaded when they run: completion and help answer in an instant. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  status: async () => (await import("./commands/status.ts")).status,
  plan: async () => (await import("./commands/plan.ts")).plan,
  drain: async () => (await import("./commands/drain.ts")).drain,
  cordon: async () => (await import("./commands/pod-request.ts")).cordon,
  uncordon: async () => (await import("./commands/pod-request.ts")).uncordon,
  fence: async () => (await import("./commands/pod-request.ts")).fence,
  route: async () => (await import("./commands/route.ts")).route,
  kick: async () => (await import("./commands/kick.ts")).kick,
  trace: async () => (await import("./commands/trace.ts")).trace,
  admin: async () => (await import("./commands/admin.ts")).admin,
  doctor: async () => (await import("./commands/doctor.ts")).doctor,
  logs: async () => (await import("./commands/logs.ts")).logs,
  report: async () => (await import("./commands/report.ts")).report,
  "install generate": async () => (await import("./commands/install.ts")).installGenerate,
  version: async () => (await import("./commands/version.ts")).version,
};

/** Runs one command line to its end. Never rejects: every fault becomes a message on stderr and an exit code. */
export async function run(args: readonly string[], given: Surroundings): Promise<ExitCode> {
  const { signal } = given;
  const terminal = guarded(given.terminal, false);
  try {
    if (args[0] === "__complete") {
      terminal.out(
        candidates(args.slice(1))
          .map((word) => `${word}\n`)
          .join(""),
      );
      return EXIT.ok;
    }
    return await runCommand(parseCommandLine(args), given);
  } catch (thrown) {
    if (signal.aborted) return EXIT.interrupted;
    const fault = faultOf(thrown);
    terminal.err(`error: ${fault.message}\n${fault.remedy}\n`);
    return fault.exitCode;
  }
}

async function runCommand({ command, words, flags }: Invocation, given: Surroundings): Promise<ExitCode> {
  const isColoured = wantsColour(flags, given);
  const terminal = guarded(given.terminal, isColoured);
  const surroundings = { ...given, terminal };
  const paint = paintOf(isColoured);
  if (command.name === "help") {
    terminal.out(helpText(words, paint));
    return EXIT.ok;
  }
  if (command.name === "completion") {
    terminal.out(completionScript(words[0] ?? ""));
    return EXIT.ok;
  }
  const load = COMMANDS[command.name];
  if (!load) throw new CliFault(`${command.name} has no program`, "Please report it.");
  const timeoutMs = flags.ms("timeout") ?? DEFAULT_TIMEOUT_MS;
  let opened: Access | undefined;
  const access = (): Access => {
    opened ??= Access.open({
      kubeconfig: flags.text("kubeconfig"),
      context: flags.text("context"),
      namespace: flags.text("namespace"),
      timeoutMs,
      signal: surroundings.signal,
    });
    return opened;
  };
  const show = (data: unknown, text: () => string): void => terminal.out(rendered(flags, data, text));
  try {
    const body = await load();
    return await body({ ...surroundings, command: command.name, words, flags, paint, timeoutMs, access, show });
  } finally {
    opened?.close();
  }
}

/** Names, messages and logs are other people's words. */
function guarded(terminal: Terminal, isColoured: boolean): Terminal {
  return {
    out: (text) => terminal.out(harmless(text, isColoured)),
    err: (text) => terminal.err(harmless(text, false)),
    isTty: terminal.isTty,
    readInput: () => terminal.readInput(),
  };
}

function wantsColour(flags: Flags, { terminal, env }: Surroundings): boolean {
  const wanted = flags.text("color") ?? "auto";
  if (wanted !== "auto") return wanted === "always";
  return terminal.isTty && !env.NO_COLOR && env.TERM !== "dumb";
}

function rendered(flags: Flags, data: unknown, text: () => string): string {
  switch (flags.output) {
    case "json":
      return `${JSON.stringify(data, undefined, 2)}\n`;
    case "yaml":
      return toYaml(data);
    case "text":
      return text();
  }
}
