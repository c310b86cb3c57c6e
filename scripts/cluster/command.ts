// SPDX-License-Identifier: Apache-2.0
import { execFile } from "node:child_process";
import { ClusterFault } from "./fault.ts";

/** Options of {@link run}. */
export interface RunOptions {
  /** Default 30 s; past it the command is killed and the call fails. */
  timeoutMs?: number | undefined;
  cwd?: string | undefined;
  /** Added to this process's environment. */
  env?: Record<string, string> | undefined;
  /** Standard input; empty by default. */
  input?: string | undefined;
  signal?: AbortSignal | undefined;
  /** Return the exit code instead of throwing when it is not 0. */
  mayFail?: boolean;
  onStderrLine?: (line: string) => void;
  /** How to go on when the command is missing or fails. */
  remedy?: string | undefined;
}

export interface RunResult {
  code: number;
  stdout: string;
  stderr: string;
}

const MAX_OUTPUT_BYTES = 16 << 20;

function lastLines(text: string, count = 12): string {
  return text.trimEnd().split("\n").slice(-count).join("\n");
}

function fault(command: string, args: string[], error: Error, result: RunResult, options: RunOptions): ClusterFault {
  const shown = [command, ...args].join(" ").slice(0, 300);
  const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
  const killed = "killed" in error && error.killed === true;
  const what = missing
    ? `${command} is not installed`
    : killed
      ? `\`${shown}\` ran longer than ${(options.timeoutMs ?? 0) / 1000} s`
      : `\`${shown}\` failed with code ${result.code}`;
  const detail = lastLines(result.stderr || result.stdout);
  const remedy =
    options.remedy ??
    (missing
      ? "Install it, or put it on the PATH, then start again."
      : "Run the command by hand to see more, then start again: finished steps are not repeated.");
  return new ClusterFault(detail ? `${what}:\n${detail}` : what, remedy, { cause: error });
}

/**
 * Runs one host command to its end, without a shell.
 * Throws {@link ClusterFault} when it is missing, fails (unless `mayFail`), or passes its deadline; rejects with the
 * signal's reason when aborted.
 */
export async function run(command: string, args: string[], options: RunOptions = {}): Promise<RunResult> {
  options.signal?.throwIfAborted();
  const timeoutMs = options.timeoutMs ?? 30_000;
  const env = options.env ? { ...process.env, ...options.env } : process.env;
  return await new Promise<RunResult>((resolve, reject) => {
    const child = execFile(
      command,
      args,
      { cwd: options.cwd, env, timeout: timeoutMs, maxBuffer: MAX_OUTPUT_BYTES, killSignal: "SIGKILL" },
      (error, stdout, stderr) => {
        options.signal?.removeEventListener("abort", onAbort);
        const code = child.exitCode ?? (error ? 1 : 0);
        const result = { code, stdout, stderr };
        if (options.signal?.aborted) reject(toError(options.signal.reason));
        // A negative exit code is Node's: the program could not be started at all.
        else if (!error || (options.mayFail && child.exitCode !== null && child.exitCode >= 0)) resolve(result);
        else reject(fault(command, args, error, result, { ...options, timeoutMs }));
      },
    );
    const onAbort = (): void => void child.kill("SIGTERM");
    options.signal?.addEventListener("abort", onAbort, { once: true });
    if (options.onStderrLine && child.stderr) forEachLine(child.stderr, options.onStderrLine);
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(options.input ?? "");
  });
}

function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

function forEachLine(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = "";
  stream.on("data", (chunk: Buffer | string) => {
    const lines = (rest + chunk.toString()).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  });
}
