// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { ServiceProcess } from "../../e2e/harness/service-process.ts";
import { round1 } from "../bench-kit.ts";
import { cpuTimeOf } from "../process-cpu.ts";

const PROBE_EVERY_MS = 5;
const READY_TIMEOUT_MS = 60_000;

/** One start of a process: from the command to the first 200 of /readyz, and the CPU that took. */
export interface Start {
  ms: number;
  cpuMs: number;
}

/** Of several starts of one process. */
export interface StartFigures {
  /** The middle one. */
  startMs: number;
  fastestMs: number;
  startCpuMs: number;
}

/** The middle of some numbers, the lower one of two. @throws RangeError when there is none */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted[Math.floor((sorted.length - 1) / 2)];
  if (middle === undefined) throw new RangeError("no values");
  return middle;
}

/** What several starts say. @throws RangeError when there was none */
export function startFigures(starts: readonly Start[]): StartFigures {
  return {
    startMs: Math.round(median(starts.map(({ ms }) => ms))),
    fastestMs: Math.round(Math.min(...starts.map(({ ms }) => ms))),
    startCpuMs: Math.round(median(starts.map(({ cpuMs }) => cpuMs))),
  };
}

/** Stops a running process and times its next start. */
export async function timeStart(service: ServiceProcess): Promise<Start> {
  await service.stop();
  const startedMs = performance.now();
  await service.start();
  while (!(await service.isReady())) {
    if (service.pid === 0 || performance.now() - startedMs > READY_TIMEOUT_MS)
      throw new Error(`${service.name} did not become ready\n${service.logTail()}`);
    await sleep(PROBE_EVERY_MS);
  }
  const { user, system } = cpuTimeOf(service.pid);
  return { ms: performance.now() - startedMs, cpuMs: (user + system) * 1000 };
}

/** Starts it `rounds` times, one after the other; the first, which may fill the compile cache, is not counted. */
export async function timeStarts(service: ServiceProcess, rounds: number): Promise<StartFigures> {
  await timeStart(service);
  const starts: Start[] = [];
  for (let round = 0; round < rounds; round++) starts.push(await timeStart(service));
  return startFigures(starts);
}

/** Resident memory of a process that nobody asks anything of. */
export interface IdleFigures {
  idleMiB: number;
  /** Without the pages of files, such as the program `node` itself: all processes on a machine share those. */
  ownMiB: number;
}

/** What the kernel says of a process in /proc/PID/status. @throws RangeError when it does not say it */
export function idleFiguresFrom(status: string): IdleFigures {
  const of = (name: string): number => {
    const kib = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1];
    if (kib === undefined) throw new RangeError(`no ${name} in ${JSON.stringify(status)}`);
    return round1(Number(kib) / 1024);
  };
  return { idleMiB: of("VmRSS"), ownMiB: of("RssAnon") };
}

/** Of each, when nobody has asked anything of them for `seconds`. */
export async function idleFigures(services: readonly ServiceProcess[], seconds: number): Promise<IdleFigures[]> {
  await sleep(seconds * 1000);
  return services.map(({ pid }) => idleFiguresFrom(readFileSync(`/proc/${pid}/status`, "latin1")));
}
