// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from "node:fs";

const PRESSURE = "/proc/pressure/cpu";
const POLL_MS = 10;
/** However busy the machine is, a promise is not waited for longer than this times its limit. */
const MAX_STRETCH = 4;

/**
 * Time so far in which something on this machine was ready to run and got no CPU, ms since some begin: the kernel's
 * pressure stall information. 0 where it is not to be had.
 */
export function cpuWaitMs(path = PRESSURE): number {
  try {
    const [, total] = /^some .*total=(\d+)$/m.exec(readFileSync(path, "utf8")) ?? [];
    return Number(total ?? 0) / 1000;
  } catch {
    // Switched off, or an older kernel.
    return 0;
  }
}

/**
 * Waits for what is promised within `limitMs`. A promise is about a machine that has time for it: the limit's clock
 * stands still while a CPU was waited for. Resolves with the time that it took, ms.
 * @throws Error naming `what` when it did not come true in time
 */
export async function waitWithin(
  what: string,
  limitMs: number,
  condition: () => boolean | Promise<boolean>,
  waitedMs: () => number = cpuWaitMs,
): Promise<number> {
  const startedMs = performance.now();
  const before = waitedMs();
  const tookMs = (): number => performance.now() - startedMs;
  while (!(await condition())) {
    const allowedMs = Math.min(limitMs + waitedMs() - before, limitMs * MAX_STRETCH);
    if (tookMs() > allowedMs)
      throw new Error(`${what}: not within ${limitMs} ms, ${Math.round(tookMs())} by the clock`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return tookMs();
}
