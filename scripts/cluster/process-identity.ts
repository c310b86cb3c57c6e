// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";

/**
 * One particular process. A pid alone is reused, after a reboot even quickly; together with its start time
 * (clock ticks after boot) and the boot it belongs to it names one process for ever.
 */
export interface ProcessIdentity {
  pid: number;
  startTicks: number;
  bootId: string;
}

/** `undefined` when the file does not exist or the process behind it has gone. */
function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ESRCH" || code === "EACCES") return undefined;
    throw error;
  }
}

/** Field 22 of `/proc/PID/stat`; the command in parentheses may itself hold spaces and parentheses. */
export function parseStartTicks(stat: string): number | undefined {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (fields[0] === "Z" || fields[0] === "X") return undefined;
  const ticks = Number(fields[19]);
  return Number.isSafeInteger(ticks) ? ticks : undefined;
}

/** This boot's random id. */
export function bootId(): string {
  return readOptional("/proc/sys/kernel/random/boot_id")?.trim() ?? "unknown";
}

/** The identity of a running process; `undefined` for one that is gone or a zombie. */
export function identify(pid: number): ProcessIdentity | undefined {
  const stat = readOptional(`/proc/${pid}/stat`);
  const startTicks = stat === undefined ? undefined : parseStartTicks(stat);
  return startTicks === undefined ? undefined : { pid, startTicks, bootId: bootId() };
}

/** Is exactly this process still running? */
export function isRunning(identity: ProcessIdentity): boolean {
  const now = identify(identity.pid);
  return now !== undefined && now.startTicks === identity.startTicks && now.bootId === identity.bootId;
}

/** Arguments of a process, empty for kernel threads and for processes that are gone. */
export function commandLine(pid: number): string[] {
  return (readOptional(`/proc/${pid}/cmdline`) ?? "").split("\0").filter((part) => part !== "");
}

/** Sends a signal to exactly this process; false when it is gone. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isRunning(identity)) return false;
  try {
    process.kill(identity.pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}
