// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "#lib/clock.ts";
import type { Logger } from "#lib/logger.ts";

const REPEAT_MS = 5000;

/**
 * Logs faults of dependencies that are survived, once per operation and 5 s: a Redis that is away fails thousands of
 * calls a second with one cause.
 */
export function createFaultLog(log: Logger, clock: Clock): (op: string, error: unknown) => void {
  const mutedUntilMs = new Map<string, number>();
  const muted = new Map<string, number>();
  return (op, error) => {
    const nowMs = clock.nowMs();
    if (nowMs < (mutedUntilMs.get(op) ?? Number.NEGATIVE_INFINITY)) {
      muted.set(op, (muted.get(op) ?? 0) + 1);
      return;
    }
    mutedUntilMs.set(op, nowMs + REPEAT_MS);
    log.warn({ op, err: error, repeated: muted.get(op) ?? 0 }, "a dependency failed");
    muted.delete(op);
  };
}
