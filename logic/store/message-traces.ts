// SPDX-License-Identifier: Apache-2.0

/** Newest pointers of an inbox among which a message is looked for: bounds what a trace costs. */
export const TRACE_WINDOW = 20_000;
/** Most people of whom a trace tells. */
export const MAX_TRACED = 20;

/** What the database knows about one message, for people who run the service. Faults as in Store. */
export interface MessageTraces {
  /**
   * The message that `userId` sent under this client message id, while resends are recognised; else the one with this message id among
   * the last {@link TRACE_WINDOW} in the user's inbox. Undefined: neither.
   */
  find(userId: string, message: string): Promise<StoredTrace | undefined>;
}

export interface StoredTrace {
  messageId: string;
  conversationId: string;
  convSeq: number;
  sentAtMs: number;
  /** Undefined when retention took it. */
  message: TracedMessage | undefined;
  /** At most {@link MAX_TRACED} by user id, whoever was asked about among them. */
  recipients: TracedRecipient[];
  /** There are others. */
  hasMore: boolean;
}

/** Everything but its content. */
export interface TracedMessage {
  sender: string;
  clientMessageId: string;
  contentType: string;
  contentBytes: number;
}

export interface TracedRecipient {
  userId: string;
  /** 0 when it is not among the last {@link TRACE_WINDOW}. */
  inboxSeq: number;
  head: number;
  /** Everything up to here needs no push any more. */
  pushedSeq: number;
  /** Pushes that wait and are about it. */
  steps: TracedStep[];
}

export interface TracedStep {
  channel: string;
  attempts: number;
  /** Wall clock of the store. */
  dueMs: number;
}

/** Those of whom a trace tells, in their order: a crowd must not hide who was asked about. */
export function tracedOf(people: readonly string[], userId: string): { traced: string[]; hasMore: boolean } {
  const others = people.filter((id) => id !== userId).sort();
  const traced = [userId, ...others.slice(0, MAX_TRACED - 1)].sort();
  return { traced, hasMore: others.length >= MAX_TRACED };
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** Ids that follow each other within a millisecond may run ahead of the clock, and clocks of processes differ. */
const CLOCK_SLACK_MS = 10 * 60_000;

/** Between which times a message with this id was sent; any time when the id does not tell. Undefined: no message id. */
export function sentWindow(messageId: string): { fromMs: number; toMs: number } | undefined {
  const version = UUID.exec(messageId)?.[1];
  if (version === undefined) return undefined;
  if (version !== "7") return { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER };
  const atMs = Number.parseInt(messageId.slice(0, 8) + messageId.slice(9, 13), 16);
  return { fromMs: Math.max(0, atMs - CLOCK_SLACK_MS), toMs: atMs + CLOCK_SLACK_MS };
}
