// SPDX-License-Identifier: Apache-2.0
import type { LogicStatusReply } from "#proto/gen/messages.ts";

import { isActive, type ObservedEntry } from "./observed.ts";
import type { ReceiverSignals } from "./reconnect-rate.ts";

interface Counted {
  atMs: number;
  first: number;
  second: number;
}

/** Counters older than this say nothing about now. */
const MAX_GAP_MS = 10_000;

/** Makes rates of the counters of entries that take clients over, and of logic. Remembers one reading of each. */
export class ReceiverWatch {
  #logins = new Map<string, Counted>();
  #timeouts = new Map<string, Counted>();

  /**
   * What happened since the last call; `undefined` when nobody answered.
   * @param logic answers of logic pods, by UID
   * @param nowMs monotonic
   */
  read(
    entries: readonly ObservedEntry[],
    logic: ReadonlyMap<string, LogicStatusReply>,
    nowMs: number,
  ): ReceiverSignals | undefined {
    const receivers = entries.filter((entry) => isActive(entry) && entry.probe?.logins !== undefined);
    if (receivers.length === 0 && logic.size === 0) return undefined;
    const isPartial = receivers.length === 0 || logic.size === 0;
    return { ...this.#readLogins(receivers, nowMs), ...this.#readTimeouts(logic, nowMs), isPartial };
  }

  #readLogins(receivers: readonly ObservedEntry[], nowMs: number) {
    const now = new Map<string, Counted>();
    let [logins, failed, loginP99Ms] = [0, 0, 0];
    for (const { uid, probe } of receivers) {
      const counted = { atMs: nowMs, first: probe?.logins ?? 0, second: probe?.loginsFailed ?? 0 };
      const before = difference(this.#logins.get(uid), counted);
      now.set(uid, counted);
      if (!before) continue;
      logins += before.first;
      failed += before.second;
      if (before.first > 0) loginP99Ms = Math.max(loginP99Ms, probe?.loginP99Ms ?? 0);
    }
    this.#logins = now;
    return { logins, failed, loginP99Ms };
  }

  #readTimeouts(logic: ReadonlyMap<string, LogicStatusReply>, nowMs: number) {
    const now = new Map<string, Counted>();
    let [ackTimeoutsPerSecond, usualAckTimeoutsPerSecond] = [0, 0];
    for (const [uid, { ackTimeouts, uptimeMs }] of logic) {
      const counted = { atMs: nowMs, first: ackTimeouts, second: 0 };
      const before = difference(this.#timeouts.get(uid), counted);
      now.set(uid, counted);
      if (!before) continue;
      ackTimeoutsPerSecond += (before.first / before.atMs) * 1000;
      if (uptimeMs > 0) usualAckTimeoutsPerSecond += (ackTimeouts / uptimeMs) * 1000;
    }
    this.#timeouts = now;
    return { ackTimeoutsPerSecond, usualAckTimeoutsPerSecond };
  }
}

/** `undefined` when there is no recent reading before, or the process started again in between. */
function difference(before: Counted | undefined, now: Counted): Counted | undefined {
  if (!before) return undefined;
  const [atMs, first, second] = [now.atMs - before.atMs, now.first - before.first, now.second - before.second];
  return atMs > 0 && atMs <= MAX_GAP_MS && first >= 0 && second >= 0 ? { atMs, first, second } : undefined;
}
