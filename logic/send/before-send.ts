// SPDX-License-Identifier: Apache-2.0
import { VERDICTS, type Verdict } from "../policy/rules.ts";
import type { AppendedMessage, AppendInput } from "../store/store.ts";

/** What is to become of a message on its way, and who says so. */
export interface Passage {
  readonly verdict: Verdict;
  /** Id of the rule, or name of the guard: few, as it is a label of metrics. Empty: nobody had anything to say. */
  readonly by: string;
  /** Of `bounce`: shown to the sender. */
  readonly explanation: string;
  /** Of `bounce`: when the next one would pass, ms; 0 = that is not a question of time. */
  readonly retryAfterMs: number;
}

export const PASS: Passage = { verdict: "allow", by: "", explanation: "", retryAfterMs: 0 };

/**
 * Looks at messages before they are stored. Guards are asked one after the other, until one bounces or blocks; of all verdicts the
 * strongest holds. A resend is judged again, but one that is stored already is answered as such whatever they say now.
 */
export interface BeforeSend {
  readonly name: string;
  /** A promise has so long, ms; it may be told later what it thinks, see {@link AfterSend}. */
  readonly budgetMs: number;
  /** What holds when the promise is late or rejects: the guard fails open or closed. */
  readonly late: Passage;
  /** At once, where it can: then the message loses no time. Must not keep or change what it is given, nor throw. */
  judge(message: AppendInput): Passage | Promise<Passage>;
}

/** Is told of messages that were stored and delivered: a classifier that takes its time takes them back from here. */
export interface AfterSend {
  /** Must return at once, keep no more than it has room for, and not throw. */
  stored(message: AppendInput, stored: AppendedMessage, passage: Passage): void;
}

/** Where guards are put. */
export interface SendGuards {
  readonly before: readonly BeforeSend[];
  readonly after: readonly AfterSend[];
}

export const NO_GUARDS: SendGuards = { before: [], after: [] };

/** The stronger one; of equals the first. */
export function stronger(one: Passage, other: Passage): Passage {
  return VERDICTS.indexOf(other.verdict) > VERDICTS.indexOf(one.verdict) ? other : one;
}

/** Nothing is stored. */
export function isRefusal({ verdict }: Passage): boolean {
  return verdict === "bounce" || verdict === "block";
}
