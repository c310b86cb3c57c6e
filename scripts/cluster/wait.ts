// SPDX-License-Identifier: Apache-2.0
import { setTimeout as delay } from "node:timers/promises";
import { ClusterFault } from "./fault.ts";
import { logPath, logTail, runningProcess } from "./processes.ts";

/** Options of {@link waitFor}. */
export interface WaitOptions {
  /** What is waited for, for the error: "the API server is ready". */
  what: string;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
  /** Fail at once when one of these processes ends. */
  processes?: readonly string[];
  /** Default 100 ms. */
  pollMs?: number;
}

/** The check's value; `undefined` with the error when it throws. */
async function attempt<T>(check: () => Promise<T | undefined | false>): Promise<{ value?: T; error?: unknown }> {
  try {
    const value = await check();
    return value === undefined || value === false ? {} : { value };
  } catch (error) {
    return { error };
  }
}

function assertAlive(names: readonly string[]): void {
  for (const name of names) {
    if (runningProcess(name)) continue;
    throw new ClusterFault(`${name} ended:\n${logTail(name)}`, `Its whole log: ${logPath(name)}`);
  }
}

function timeoutFault(options: WaitOptions, error: unknown): ClusterFault {
  const reason = error instanceof Error ? `: ${error.message}` : "";
  const logs = (options.processes ?? []).map((name) => logPath(name)).join(", ");
  return new ClusterFault(
    `waited ${options.timeoutMs / 1000} s in vain until ${options.what}${reason}`,
    `${logs ? `Logs: ${logs}. ` : ""}Start again: finished steps are not repeated.`,
  );
}

/**
 * Polls until `check` gives something other than undefined or false. A check that throws counts as not yet; its
 * last error is part of the fault after `timeoutMs`.
 */
export async function waitFor<T>(check: () => Promise<T | undefined | false>, options: WaitOptions): Promise<T> {
  const deadlineMs = performance.now() + options.timeoutMs;
  for (;;) {
    options.signal?.throwIfAborted();
    const { value, error } = await attempt(check);
    if (value !== undefined) return value;
    assertAlive(options.processes ?? []);
    if (performance.now() > deadlineMs) throw timeoutFault(options, error);
    await delay(options.pollMs ?? 100, undefined, options.signal ? { signal: options.signal } : {});
  }
}
