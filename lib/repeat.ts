// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "./clock.ts";

/** Runs `job`, which does not reject, `intervalMs` after this call and again as long after each end of it. Returns what stops it. */
export function repeat(clock: Clock, intervalMs: number, job: () => Promise<void>): () => void {
  let isStopped = false;
  let cancel = (): void => undefined;
  const schedule = (): void => {
    if (!isStopped) cancel = clock.after(intervalMs, () => void job().finally(schedule));
  };
  schedule();
  return () => {
    isStopped = true;
    cancel();
  };
}
