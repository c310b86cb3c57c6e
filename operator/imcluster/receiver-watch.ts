// SPDX-License-Identifier: Apache-2.0
import type { LogicStatusReply } from "#proto/gen/messages.ts";

import { isActive, type ObservedEntry } from "./observed.ts";
import { MIN_LOGINS, type ReceiverSignals } from "./reconnect-rate.ts";
import { UsualFailures } from "./usual-failures.ts";

interface Counted {
  atMs: number;
  first: number;
  second: number;
}

/** What one entry had since the last look. */
interface EntryLogins {
  logins: number;
  p99Ms: number;
}

/** Counters older than this say nothing about now. */
const MAX_GAP_MS = 10_000;

/** Makes rates of the counters of entries that take clients over, and of logic. Remembers one reading of each. */
export class ReceiverWatch {
  #logins = new Map<string, Counted>();
  #timeouts = new Map<string, Counted>();
  readonly #usual = new UsualFailures();

  /** In place of {@link read} while no clients are moved. @param nowMs monotonic */
  rest(entries: readonly ObservedEntry[], nowMs: number): void {
    this.#usual.rest(entries, nowMs);
  }

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
    this.#usual.moving(nowMs);
    const receivers = entries.filter((entry) => isActive(entry) && entry.probe?.logins !== undefined);
    if (receivers.length === 0 && logic.size === 0) return undefined;
    const isPartial = receivers.length === 0 || logic.size === 0;
    return { ...this.#readLogins(receivers, nowMs), ...this.#readTimeouts(logic, nowMs), isPartial };
  }

  #readLogins(receivers: readonly ObservedEntry[], nowMs: number) {
    const now = new Map<string, Counted>();
    const each: EntryLogins[] = [];
    let [failed, spanMs] = [0, 0];
    for (const { uid, probe } of receivers) {
      const counted = { atMs: nowMs, first: probe?.logins ?? 0, second: probe?.loginsFailed ?? 0 };
      const before = difference(this.#logins.get(uid), counted);
      now.set(uid, counted);
      if (!before) continue;
      each.push({ logins: before.first, p99Ms: probe?.loginP99Ms ?? 0 });
      failed += before.second;
      spanMs = Math.max(spanMs, before.atMs);
    }
    this.#logins = now;
    const logins = each.reduce((sum, one) => sum + one.logins, 0);
    return { logins, failed, usualFailed: (this.#usual.perSecond * spanMs) / 1000, loginP99Ms: slowest(each) };
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

/**
 * The 99th percentile that entries with enough logins reach together, from the slowest on: one slow login at an entry that had
 * no other says nothing about the rest.
 */
function slowest(each: readonly EntryLogins[]): number {
  let logins = 0;
  for (const one of [...each].sort((a, b) => b.p99Ms - a.p99Ms)) {
    logins += one.logins;
    if (logins >= MIN_LOGINS) return one.p99Ms;
  }
  return 0;
}
