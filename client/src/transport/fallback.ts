// SPDX-License-Identifier: Apache-2.0
import { type Clock, systemClock, Timer } from "../clock.ts";
import type { Socket, Transport } from "./transport.ts";

/** Attempts without a byte in answer before the next transport is tried. */
const MAX_FAILURES = 2;
const RETRY_BEST_MS = 10 * 60_000;
/** In which the best transport connects where it is not blocked, on slow networks too. */
const HEAD_START_MS = 4_000;

/**
 * The best of several transports that works here, best first. Two attempts in a row that bring nothing, and the next one
 * is tried; what works is remembered. Once in ten minutes a new dial tries the best one again.
 *
 * While the best one cannot even connect, the network may be away rather than that transport blocked: then every attempt
 * with another that has not worked yet begins with the best one, so that the end of an outage finds it.
 */
export function fallbackTransport(transports: readonly Transport[], clock: Clock = systemClock): Transport {
  let current = 0;
  let failures = 0;
  let retryAtMs = 0;
  /** It brought something last. */
  let proven = 0;
  let isBestCutOff = false;

  /** What became of an attempt. */
  const note = (index: number, wasOpen: boolean, works: boolean): void => {
    if (index === 0) isBestCutOff = !wasOpen;
    if (works) {
      current = index;
      proven = index;
      failures = 0;
    } else if (index === current && ++failures >= MAX_FAILURES) {
      // A trial that failed changes nothing: what worked before is still there.
      current = (index + 1) % transports.length;
      failures = 0;
      if (index === 0) retryAtMs = clock.nowMs() + RETRY_BEST_MS;
    }
  };

  return (url, listener) => {
    const timer = new Timer(clock);
    let socket: Socket | undefined;

    const dial = (index: number, otherwise?: () => void): Socket => {
      let isOpen = false;
      let isSettled = false;
      const settle = (works: boolean): void => {
        if (!isSettled) note(index, isOpen, works);
        isSettled = true;
      };
      const inner = (transports[index] as Transport)(url, {
        onOpen() {
          isOpen = true;
          timer.clear();
          listener.onOpen();
        },
        onData(bytes) {
          settle(true);
          listener.onData(bytes);
        },
        onClose(code, reason) {
          settle(false);
          if (otherwise && !isOpen) otherwise();
          else listener.onClose(code, reason);
        },
      });
      return {
        ...inner,
        close() {
          timer.clear();
          settle(false);
          inner.close();
        },
      };
    };

    const next = current;
    const isTrial = next > 0 && clock.nowMs() >= retryAtMs;
    if (isTrial) retryAtMs = clock.nowMs() + RETRY_BEST_MS;
    const otherwise = (): void => {
      socket?.close();
      socket = dial(next);
    };
    const hasHeadStart = !isTrial && isBestCutOff && next !== proven && next > 0;
    if (hasHeadStart) timer.set(HEAD_START_MS, otherwise);
    const first = hasHeadStart ? dial(0, otherwise) : dial(isTrial ? 0 : next);
    socket ??= first;
    return { send: (bytes) => socket?.send(bytes), close: () => socket?.close() };
  };
}
