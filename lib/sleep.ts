// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";

/** Resolves after `delayMs`, or at once when the signal aborts; leaves no timer and no listener. */
export function sleep(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.after(delayMs, done);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
