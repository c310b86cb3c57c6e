// SPDX-License-Identifier: Apache-2.0
import { spawn } from "node:child_process";

/** How a command ended. */
export interface Ended {
  /** Of `timeout`: its time was over. */
  code: number;
  /** The end of what it printed. */
  output: string;
}

const OUTPUT_LIMIT_CHARS = 100_000;
const OUT_OF_TIME = 124;

/**
 * Runs what follows as the leader of a process group, beside somebody who waits for the end of descriptor 3 and then
 * kills the group. It ends when whoever holds the other side closes it, or dies, in whatever way.
 */
const TIED = '(read -r end <&3; kill -KILL 0) >/dev/null 2>&1 & exec 3<&-; exec "$@"';

/** Options of {@link runTied}. */
export interface TiedOptions {
  cwd?: string;
  /** Past it the command and all that it started are killed. */
  timeoutMs: number;
  /** Aborted: the same at once. */
  signal?: AbortSignal;
}

/**
 * Runs a command to its end. Nothing that it started outlives it or this process, not even when this process is killed
 * and the command turns in a loop.
 */
export function runTied(command: readonly string[], { cwd, timeoutMs, signal }: TiedOptions): Promise<Ended> {
  return new Promise((resolve) => {
    const stdio = ["ignore", "pipe", "pipe", "pipe"] as const;
    const child = spawn("/bin/sh", ["-c", TIED, "sh", ...command], { cwd, detached: true, stdio: [...stdio] });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => {
        output = (output + text).slice(-OUTPUT_LIMIT_CHARS);
      });
    let isLate = false;
    const end = (): void => {
      child.stdio[3]?.destroy();
    };
    const timer = setTimeout(() => {
      isLate = true;
      end();
    }, timeoutMs);
    signal?.addEventListener("abort", end);
    if (signal?.aborted) end();
    // What the command left behind may hold its output open.
    child.once("exit", end);
    child.once("error", (error) => {
      output += String(error);
    });
    child.once("close", (code) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve({ code: isLate ? OUT_OF_TIME : (code ?? 1), output });
    });
  });
}
