// SPDX-License-Identifier: Apache-2.0
// What the smaller benchmarks share.
import { readFileSync } from "node:fs";
import type { Fleet } from "../e2e/harness/fleet.ts";
import { cpuTimeOf } from "./process-cpu.ts";

const startedMs = performance.now();

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

/** Stops the fleet whatever happens; shows the ends of its logs when `run` failed. */
export async function withFleet(fleet: Fleet, run: () => Promise<boolean>): Promise<boolean> {
  process.once("SIGINT", () => void fleet.stopAll().finally(() => process.exit(130)));
  try {
    return await run();
  } catch (error) {
    console.error(fleet.explain());
    throw error;
  } finally {
    await fleet.stopAll(15_000);
  }
}
