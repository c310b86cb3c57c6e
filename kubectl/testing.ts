// SPDX-License-Identifier: Apache-2.0
import { FakeClock } from "#lib/clock.ts";
import { EXIT, type ExitCode } from "./fault.ts";
import { run, type Surroundings } from "./run.ts";

/** What a run printed, and how it ended. */
export interface RunOutput {
  code: ExitCode;
  out: string;
  err: string;
}

/** What a test gives besides the words. */
export type RunOptions = Partial<Omit<Surroundings, "terminal">> & {
  isTty?: boolean;
  /** Standard input. */
  input?: string;
  /** Called with all that was printed so far. */
  onOut?: (out: string) => void;
};

/** Runs a command line of this process's own, for tests. */
export async function runWords(args: readonly string[], over: RunOptions = {}): Promise<RunOutput> {
  const output: RunOutput = { code: EXIT.ok, out: "", err: "" };
  const { isTty = false, input = "", onOut, ...rest } = over;
  const terminal = {
    out: (text: string) => {
      output.out += text;
      onOut?.(output.out);
    },
    err: (text: string) => {
      output.err += text;
    },
    isTty,
    readInput: async () => input,
  };
  const surroundings = { terminal, env: {}, clock: new FakeClock(), signal: new AbortController().signal, ...rest };
  output.code = await run(args, surroundings);
  return output;
}
