// SPDX-License-Identifier: Apache-2.0
// What the smaller benchmarks share.
import { readFileSync } from "node:fs";
import type { Fleet } from "../e2e/harness/fleet.ts";
import { cpuTimeOf } from "./process-cpu.ts";

const startedMs = performance.now();
/** A benchmark that takes longer, with its servers' start and end, has failed. */
const LIMIT_MS = 290_000;

/** No limit that protects an entry from one client: here one client may be the load. */
export const UNLIMITED = {
  IM_FRAMES_PER_SECOND: "0",
  IM_BYTES_PER_SECOND: "0",
  IM_USER_MESSAGES_PER_SECOND: "0",
  IM_LOGINS_PER_MINUTE: "0",
};

/** A line for people, on stderr. */
export function progress(text: string): void {
  console.error(`[${((performance.now() - startedMs) / 1000).toFixed(1).padStart(6)} s] ${text}`);
}

/** A positive number from the environment. @throws RangeError naming the variable */
export function envNumber(name: string, byDefault: number): number {
  const value = Number(process.env[name] ?? byDefault);
  if (value > 0) return value;
  throw new RangeError(`${name} must be a positive number, not ${process.env[name]}`);
}

/** Names of the targets that were not met. */
export function missedOf(checks: Readonly<Record<string, boolean>>): string[] {
  return Object.entries(checks).flatMap(([name, isMet]) => (isMet ? [] : [name]));
}

export const round1 = (value: number): number => Math.round(value * 10) / 10;

/** User and system seconds of entry, logic and PostgreSQL since they began. */
export function serverCpuSeconds(fleet: Fleet): { entry: number; logic: number; postgres: number } {
  const seconds = (pid: number, withChildren: boolean): number => {
    const { user, system } = cpuTimeOf(pid, withChildren);
    return user + system;
  };
  return {
    entry: seconds(fleet.entry(0).pid, false),
    logic: seconds(fleet.logic(0).pid, false),
    postgres: seconds(fleet.postgres.pid, true),
  };
}

/** Resident memory of a process now and at its highest, MiB. */
export function residentMiB(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  const of = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024;
  return { now: round1(of("VmRSS")), peak: round1(of("VmHWM")) };
}

/** User and system seconds of a process, with the children that a forking server has. */
function secondsOf(pid: number, withChildren = false): number {
  const { user, system } = cpuTimeOf(pid, withChildren);
  return user + system;
}

/** {@link secondsOf} of everything that takes part: each entry and logic, PostgreSQL, Redis, and those who make the load. */
export function cpuSecondsOfAll(fleet: Fleet, load: readonly { pid: number }[]): Record<string, number> {
  const own = [...fleet.entries, ...fleet.logics].map(({ name, pid }) => [name, secondsOf(pid)]);
  return {
    ...(Object.fromEntries(own) as Record<string, number>),
    postgres: secondsOf(fleet.postgres.pid, true),
    redis: secondsOf(fleet.redis.pid),
    load: load.reduce((total, { pid }) => total + secondsOf(pid), 0),
  };
}

/**
 * What each part used between two {@link cpuSecondsOfAll}, and all together, in microseconds per unit of work. A process that had
 * ended by the second one is left out.
 */
export function microsEach(
  before: Readonly<Record<string, number>>,
  after: Readonly<Record<string, number>>,
  count: number,
): Record<string, number> {
  const parts = Object.entries(after)
    .map(([part, seconds]) => [part, seconds - (before[part] ?? 0)] as const)
    .filter(([, seconds]) => seconds >= 0)
    .map(([part, seconds]) => [part, Math.round((seconds * 1e6) / count)]);
  const micros = Object.fromEntries(parts) as Record<string, number>;
  return { ...micros, sum: Object.values(micros).reduce((total, each) => total + each, 0) };
}

/** Rejects when the benchmark has run for too long. */
function timeIsUp(): { promise: Promise<never>; cancel: () => void } {
  const { promise, reject } = Promise.withResolvers<never>();
  const leftMs = Math.max(0, LIMIT_MS - (performance.now() - startedMs));
  const timer = setTimeout(() => reject(new Error(`not done within ${LIMIT_MS / 1000} s`)), leftMs);
  return { promise, cancel: () => clearTimeout(timer) };
}

/** Stops the fleet whatever happens, at the latest when the benchmark has run for 290 s; shows the ends of its logs when `run` failed. */
export async function withFleet(fleet: Fleet, run: () => Promise<boolean>): Promise<boolean> {
  process.once("SIGINT", () => void fleet.stopAll().finally(() => process.exit(130)));
  const limit = timeIsUp();
  try {
    return await Promise.race([run(), limit.promise]);
  } catch (error) {
    console.error(fleet.explain());
    throw error;
  } finally {
    limit.cancel();
    await fleet.stopAll(15_000);
  }
}
