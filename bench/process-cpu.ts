// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { childPids } from "../e2e/harness/processes.ts";

/** USER_HZ: fixed at 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** CPU time that a process used, in seconds. */
export interface CpuTime {
  user: number;
  system: number;
}

function statFields(pid: number): number[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // From the state (field 3) on; the name before it may contain anything.
    return stat
      .slice(stat.lastIndexOf(")") + 2)
      .split(" ")
      .map(Number);
  } catch {
    return undefined;
  }
}

function ownTime(pid: number, withReapedChildren: boolean): CpuTime {
  const fields = statFields(pid);
  if (!fields) return { user: 0, system: 0 };
  const [utime = 0, stime = 0, cutime = 0, cstime = 0] = fields.slice(11, 15);
  return {
    user: (utime + (withReapedChildren ? cutime : 0)) / TICKS_PER_SECOND,
    system: (stime + (withReapedChildren ? cstime : 0)) / TICKS_PER_SECOND,
  };
}

/** User and system seconds of a process and, for a forking server, of its children, also of those that are gone. */
export function cpuTimeOf(pid: number, withChildren = false): CpuTime {
  const total = ownTime(pid, withChildren);
  for (const child of withChildren ? childPids(pid) : []) {
    const time = ownTime(child, true);
    total.user += time.user;
    total.system += time.system;
  }
  return total;
}

/** Seconds between two samples of {@link cpuTimeOf}, user and system together. */
export function cpuSecondsBetween(before: CpuTime, after: CpuTime): number {
  return after.user + after.system - before.user - before.system;
}

/** Seconds that all cores of the machine together were busy since boot (steal counts: it was not ours to use). */
export function machineBusySeconds(): number {
  const [line = ""] = readFileSync("/proc/stat", "latin1").split("\n");
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line.split(/\s+/).slice(1).map(Number);
  return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND;
}

const QUIET_CORES = 0.3;
const SAMPLE_MS = 1000;

/** Waits until the machine does little else, at most `maxSeconds`; returns the cores that were busy in the last second. */
export async function waitQuiet(maxSeconds: number): Promise<number> {
  const endMs = performance.now() + maxSeconds * 1000;
  for (;;) {
    const [startedMs, before] = [performance.now(), machineBusySeconds()];
    await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
    const busyCores = ((machineBusySeconds() - before) * 1000) / (performance.now() - startedMs);
    if (busyCores < QUIET_CORES || performance.now() > endMs) return Math.round(busyCores * 100) / 100;
  }
}
