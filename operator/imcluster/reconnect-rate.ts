// SPDX-License-Identifier: Apache-2.0

/** `spec.entry.drain.reconnectBudget`. */
export interface BudgetLimits {
  maxPerSecond: number;
  minPerSecond: number;
  loginP99Ms: number;
  /** 0 to 1. */
  loginFailureRatio: number;
}

/** How those cope that take the clients over, since the last look. */
export interface ReceiverSignals {
  logins: number;
  /** Of these, refused. */
  failed: number;
  /** So many of them are refused in such a time when nobody is asked to move: clients whose token has expired try for ever. */
  usualFailed: number;
  /** Of the slowest entries that together had enough logins to say so; 0 when there were too few. */
  loginP99Ms: number;
  ackTimeoutsPerSecond: number;
  /** The mean since logic started. */
  usualAckTimeoutsPerSecond: number;
  /** No entry, or no logic, answered: logins that hang are in no counter, so that nothing may look well. */
  isPartial?: boolean;
}

export interface RateState {
  ratePerSecond: number;
  judgedMs: number;
  /** Not lowered again before this: the effect of the last time has yet to show. */
  heldUntilMs: number;
}

export const JUDGE_EVERY_MS = 1_000;
/** Clients that were asked before the rate was halved still come for about this long. */
const HOLD_MS = 3_000;
/** After this without a drain nothing is known any more. */
const FORGET_MS = 600_000;
/** A second without trouble raises the rate by this share of the maximum. */
const RAISE_SHARE = 0.05;
/** A look that comes late raises it for this time at most: what happened before is known from counters only. */
const MAX_RAISE_SECONDS = 3;
/** Fewer logins say nothing about a 99th percentile, or a share. */
export const MIN_LOGINS = 20;
/** So many acknowledgements late per second are nothing, whatever is usual. */
const ACK_TIMEOUTS_ALLOWED = 5;

/** Why the rate must come down, if so. Pure. */
export function distress(signals: ReceiverSignals, limits: BudgetLimits): string | undefined {
  const { logins, failed, usualFailed, loginP99Ms, ackTimeoutsPerSecond, usualAckTimeoutsPerSecond } = signals;
  if (logins >= MIN_LOGINS && loginP99Ms > limits.loginP99Ms)
    return `logins take ${loginP99Ms} ms (99th percentile), more than ${limits.loginP99Ms} ms`;
  const more = logins - usualFailed;
  if (more >= MIN_LOGINS && failed > 2 * usualFailed + limits.loginFailureRatio * more)
    return `${failed} of ${logins} logins were refused, ${Math.round(usualFailed)} are usual`;
  if (ackTimeoutsPerSecond > 2 * usualAckTimeoutsPerSecond + ACK_TIMEOUTS_ALLOWED)
    return `${Math.round(ackTimeoutsPerSecond)} deliveries a second are not acknowledged in time`;
  return undefined;
}

/** How fast the rate is raised while all is well. Pure. */
export function raisePerSecond({ maxPerSecond }: BudgetLimits): number {
  return Math.max(1, maxPerSecond * RAISE_SHARE);
}

/** Half of what is allowed: raised within ten seconds when all is well. */
export function firstRate(limits: BudgetLimits, nowMs: number): RateState {
  const ratePerSecond = Math.max(limits.minPerSecond, limits.maxPerSecond / 2);
  return { ratePerSecond, judgedMs: nowMs, heldUntilMs: nowMs };
}

/** There was no drain for so long that nothing is known any more. Pure. */
export function isForgotten({ judgedMs }: RateState, nowMs: number): boolean {
  return nowMs - judgedMs > FORGET_MS;
}

/**
 * The rate from now on: halved in distress, raised by each second without, the same when nobody could say. Pure.
 * Always within the limits.
 */
export function nextRate(
  state: RateState,
  signals: ReceiverSignals | undefined,
  limits: BudgetLimits,
  nowMs: number,
): RateState {
  const within = (rate: number) => Math.min(limits.maxPerSecond, Math.max(limits.minPerSecond, rate));
  const { heldUntilMs } = state;
  const ratePerSecond = within(state.ratePerSecond);
  if (isForgotten(state, nowMs)) return firstRate(limits, nowMs);
  if (nowMs - state.judgedMs < JUDGE_EVERY_MS) return { ...state, ratePerSecond };
  if (!signals) return { ratePerSecond, judgedMs: nowMs, heldUntilMs };
  if (distress(signals, limits)) {
    if (nowMs < heldUntilMs) return { ratePerSecond, judgedMs: nowMs, heldUntilMs };
    return { ratePerSecond: within(ratePerSecond / 2), judgedMs: nowMs, heldUntilMs: nowMs + HOLD_MS };
  }
  if (signals.isPartial) return { ratePerSecond, judgedMs: nowMs, heldUntilMs };
  const seconds = Math.min(MAX_RAISE_SECONDS, (nowMs - state.judgedMs) / 1000);
  return { ratePerSecond: within(ratePerSecond + raisePerSecond(limits) * seconds), judgedMs: nowMs, heldUntilMs };
}
