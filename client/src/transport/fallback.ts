// SPDX-License-Identifier: Apache-2.0
import { type Clock, systemClock } from "../clock.ts";
import type { Transport } from "./transport.ts";

/** Attempts without a byte in answer before the next transport is tried. */
const MAX_FAILURES = 2;
const RETRY_BEST_MS = 10 * 60_000;

/**
 * The best of several transports that works here, best first. Two attempts in a row that bring nothing, and the next one
 * is tried; what works is remembered. Once in ten minutes a new dial tries the best one again.
 */
export function fallbackTransport(transports: readonly Transport[], clock: Clock = systemClock): Transport {
  let current = 0;
  let failures = 0;
  let retryAtMs = 0;

  return (url, listener) => {
    const isTrial = current > 0 && clock.nowMs() >= retryAtMs;
    const index = isTrial ? 0 : current;
    if (isTrial) retryAtMs = clock.nowMs() + RETRY_BEST_MS;
    let isSettled = false;
    const settle = (works: boolean): void => {
      if (isSettled) return;
      isSettled = true;
      if (works) {
        current = index;
        failures = 0;
      } else if (index === current && ++failures >= MAX_FAILURES) {
        // A trial that failed changes nothing: what worked before is still there.
        current = (index + 1) % transports.length;
        failures = 0;
        if (index === 0) retryAtMs = clock.nowMs() + RETRY_BEST_MS;
      }
    };
    const socket = (transports[index] as Transport)(url, {
      ...listener,
      onData(bytes) {
        settle(true);
        listener.onData(bytes);
      },
      onClose(code, reason) {
        settle(false);
        listener.onClose(code, reason);
      },
    });
    return {
      ...socket,
      close() {
        settle(false);
        socket.close();
      },
    };
  };
}
