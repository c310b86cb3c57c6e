// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { constants } from "node:os";

/** Output kept per process, for error messages. */
const OUTPUT_LIMIT_CHARS = 64 * 1024;
const POLL_MS = 10;
/** A thread that waits for a disk stops when the disk has answered. */
const FREEZE_LIMIT_MS = 10_000;
/** Of an ended process, when a child of its own holds its output open. */
const LAST_WORDS_MS = 1000;

/** Options of {@link startProcess}. */
export interface ProcessOptions {
  /** Used in error messages. */
  name: string;
  command: string;
  args?: readonly string[];
  /** Complete environment; default: this process's. */
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Run as this user (needs root). */
  user?: { uid: number; gid: number };
  /** Command before all others, e.g. into a network namespace: see `Place.enter`. */
  enter?: readonly string[];
  /** Sent by the kernel when this process dies, in whatever way. Default SIGKILL. */
  deathSignal?: "SIGKILL" | "SIGQUIT" | "SIGTERM";
}

/** How a process ended. */
export interface ProcessExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/**
 * A process that cannot outlive the one that started it: the kernel signals it when we die (PR_SET_PDEATHSIG, through
 * `setpriv` of util-linux), also after a crash or SIGKILL. It does not keep our event loop alive.
 * The death signal is tied to the starting thread: start processes from the main thread only.
 */
export class GuardedProcess {
  readonly name: string;
  readonly pid: number;
  /** Settles once, when all it printed is in {@link output}; never rejects. */
  readonly exited: Promise<ProcessExit>;
  #exit: ProcessExit | undefined;
  #output = "";
  readonly #lineListeners = new Set<() => void>();

  constructor(name: string, child: ChildProcess, pid: number) {
    this.name = name;
    this.pid = pid;
    this.exited = new Promise((resolve) => {
      // The end of a process may be known before its last words were read.
      child.once("exit", (code, signal) => {
        const settle = (): void => {
          clearTimeout(timer);
          this.#exit ??= { code, signal };
          this.#wake();
          resolve(this.#exit);
        };
        const timer = setTimeout(settle, LAST_WORDS_MS).unref();
        child.once("close", settle);
      });
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8");
      stream?.on("data", (text: string) => {
        this.#output = (this.#output + text).slice(-OUTPUT_LIMIT_CHARS);
        this.#wake();
      });
      (stream as { unref?(): void } | null)?.unref?.();
    }
    child.unref();
  }

  /** The end of what it printed (stdout and stderr mixed). */
  get output(): string {
    return this.#output;
  }

  /** Undefined while it runs. */
  get exit(): ProcessExit | undefined {
    return this.#exit;
  }

  /** Stops it where it is; see {@link freezeProcess}. False when the process is gone. */
  freeze(): boolean {
    return this.#exit === undefined && freezeProcess(this.pid);
  }

  /** Sends a signal; false when the process is gone. */
  signal(signal: NodeJS.Signals): boolean {
    return this.#exit === undefined && sendSignal(this.pid, signal);
  }

  /** Resolves when the output so far matches. @throws Error when the process ends first, or after `timeoutMs` */
  waitForOutput(pattern: RegExp, timeoutMs = 10_000): Promise<RegExpMatchArray> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        this.#lineListeners.delete(check);
      };
      const fail = (why: string): void => {
        settle();
        reject(new Error(`${this.name} ${why} before it printed ${pattern}; its output:\n${this.#output}`));
      };
      const check = (): void => {
        const match = this.#output.match(pattern);
        if (match) {
          settle();
          resolve(match);
        } else if (this.#exit) {
          fail(`ended (${describeExit(this.#exit)})`);
        }
      };
      const timer = setTimeout(() => fail(`took ${timeoutMs} ms`), timeoutMs);
      this.#lineListeners.add(check);
      check();
    });
  }

  /** Resolves with how it ended. @throws Error when it still runs after `timeoutMs` */
  waitForExit(timeoutMs = 10_000): Promise<ProcessExit> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`${this.name} still runs after ${timeoutMs} ms; its output:\n${this.#output}`));
      }, timeoutMs);
      void this.exited.then((exit) => {
        clearTimeout(timer);
        resolve(exit);
      });
    });
  }

  /** Asks with `signal`, after `graceMs` kills; resolves when the process is gone. */
  async stop(signal: NodeJS.Signals = "SIGTERM", graceMs = 10_000): Promise<ProcessExit> {
    if (this.signal(signal)) {
      try {
        return await this.waitForExit(graceMs);
      } catch {
        this.signal("SIGKILL");
      }
    }
    return this.waitForExit();
  }

  #wake(): void {
    for (const listener of [...this.#lineListeners]) listener();
  }
}

/** Starts a process guarded by a death signal; resolves when the kernel has created it, not when it is ready. */
export function startProcess(options: ProcessOptions): Promise<GuardedProcess> {
  const { user, enter = [] } = options;
  // The user is changed after entering, which needs root, and before the signal is set, which a change would clear.
  const identity = user ? [`--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups"] : [];
  const guard = [...identity, `--pdeathsig=${(options.deathSignal ?? "SIGKILL").slice("SIG".length)}`, "--"];
  const [command = "", ...args] = [...enter, "setpriv", ...guard, options.command, ...(options.args ?? [])];
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: options.env ?? process.env,
      cwd: options.cwd,
      stdio: ["ignore", "pipe", "pipe"],
    });
    child.once("error", (cause) => {
      reject(new Error(`cannot start ${options.name}: is setpriv (package util-linux) installed?`, { cause }));
    });
    child.once("spawn", () => {
      if (child.pid !== undefined) resolve(new GuardedProcess(options.name, child, child.pid));
    });
  });
}

/** Polls until `condition` holds. @throws Error naming `what` after `timeoutMs` */
export async function waitUntil(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 10_000,
): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Pids whose parent is `pid`, from /proc. */
export function childPids(pid: number): number[] {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry) && parentPid(entry) === pid)
    .map(Number);
}

function parentPid(pid: string): number | undefined {
  const fields = procStat(pid);
  return fields ? Number(fields[1]) : undefined;
}

/** Is there a process (not a zombie) with this pid? */
export function isRunning(pid: number): boolean {
  const state = procStat(String(pid))?.[0];
  return state !== undefined && state !== "Z" && state !== "X";
}

/** Fields of /proc/PID/stat from the state on; the name before it may contain anything. */
function procStat(pid: string): string[] | undefined {
  return statOf(`/proc/${pid}/stat`);
}

function statOf(path: string): string[] | undefined {
  try {
    const stat = readFileSync(path, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
}

/** Sends a signal; false when there is no such process. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, constants.signals[signal]);
  } catch {
    return false;
  }
}

/**
 * SIGSTOP, and waits until every thread stands still: the signal alone returns while they still run, and a request sent
 * right after it may be answered. False when there is no such process.
 * @throws Error when it still runs after 10 s
 */
export function freezeProcess(pid: number): boolean {
  if (!sendSignal(pid, "SIGSTOP")) return false;
  const nap = new Int32Array(new SharedArrayBuffer(4));
  for (let waitedMs = 0; !isStill(pid); waitedMs++) {
    if (waitedMs > FREEZE_LIMIT_MS) throw new Error(`process ${pid} does not stop`);
    Atomics.wait(nap, 0, 0, 1);
  }
  return true;
}

/** Do all its threads stand still (or is it gone)? */
function isStill(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).every((task) => {
      const state = statOf(`/proc/${pid}/task/${task}/stat`)?.[0] ?? "X";
      return "TtZX".includes(state);
    });
  } catch {
    return true;
  }
}

/** One line for messages: `code 1` or `SIGKILL`. */
export function describeExit(exit: ProcessExit): string {
  return exit.signal ?? `code ${exit.code}`;
}
