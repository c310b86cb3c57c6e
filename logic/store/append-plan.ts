// SPDX-License-Identifier: Apache-2.0
import { ErrorCode, ImError } from "#lib/errors.ts";
import { bigintArray, byteaArray, intArray, parseNumbers, textArray, uuidArray } from "./binary-array.ts";
import type { Row } from "./postgres-pool.ts";
import type { AppendedMessage, AppendInput } from "./store.ts";

/** A message and the users it goes to (the sender is one of them). */
export interface Delivery {
  input: AppendInput;
  userIds: readonly string[];
  /** Of a one-to-one conversation, unless it was looked up who blocks whom. */
  pair?: readonly [string, string] | undefined;
  /** For its sender alone. */
  isHidden?: boolean;
  /** In a large group, at this version of it: its other members read it in the conversation. */
  largeVersion?: number;
}

/** Occurrences of keys, numbered so that the server only has to add: seq = counter of the key + back. */
interface Numbering {
  /** Distinct, in lock order: the same in every process. */
  keys: string[];
  /** Occurrences of each key. */
  counts: number[];
  /** Per occurrence: index of its key, from 1. */
  indexes: number[];
  /** Per occurrence: minus the number of later occurrences of its key. */
  backs: number[];
}

interface Counter {
  key: string;
  /** From 1, in lock order. */
  index: number;
  count: number;
  seen: number;
}

function numberOccurrences(occurrences: readonly string[]): Numbering {
  const byKey = new Map<string, Counter>();
  const counters = occurrences.map((key) => {
    let counter = byKey.get(key);
    if (!counter) {
      counter = { key, index: 0, count: 0, seen: 0 };
      byKey.set(key, counter);
    }
    counter.count++;
    return counter;
  });
  const distinct = [...byKey.values()].sort((one, other) => (one.key < other.key ? -1 : 1));
  for (const [position, counter] of distinct.entries()) counter.index = position + 1;
  return {
    keys: distinct.map(({ key }) => key),
    counts: distinct.map(({ count }) => count),
    indexes: counters.map(({ index }) => index),
    backs: counters.map((counter) => ++counter.seen - counter.count),
  };
}

/** A numbered batch of new messages: encodes the parameters of the append statement, and decodes its result. */
export class AppendPlan {
  readonly #deliveries: readonly Delivery[];
  readonly #conversations: Numbering;
  /** One occurrence per inbox row. */
  readonly #inboxes: Numbering;
  /** Per message: its sender's row. */
  readonly #senderRows: number[] = [];
  /** Per row: its message, from 1. */
  readonly #rowMessages: number[] = [];
  /** Per user who got a message of somebody else: the row of the last one. */
  readonly #lastRows = new Map<string, number>();

  /** @param deliveries at least one, with distinct (sender, client message id) */
  constructor(deliveries: readonly Delivery[]) {
    this.#deliveries = deliveries;
    this.#conversations = numberOccurrences(deliveries.map(({ input }) => input.conversationId));
    const rowUsers: string[] = [];
    for (const [index, { input, userIds }] of deliveries.entries()) {
      for (const userId of userIds) {
        if (userId === input.sender) this.#senderRows.push(rowUsers.length);
        else this.#lastRows.set(userId, rowUsers.length);
        rowUsers.push(userId);
        this.#rowMessages.push(index + 1);
      }
    }
    this.#inboxes = numberOccurrences(rowUsers);
  }

  /** Parameters of `append_v1`, in its order, then the recipients for push_outbox. */
  encode(): Buffer[] {
    const inputs = this.#deliveries.map(({ input }) => input);
    const { keys, counts, indexes, backs } = this.#conversations;
    const pairs = this.#pairs();
    return [
      textArray(keys),
      intArray(counts),
      textArray(keys.map((key) => pairs.get(key)?.[0])),
      textArray(keys.map((key) => pairs.get(key)?.[1])),
      textArray(this.#inboxes.keys),
      intArray(this.#inboxes.counts),
      intArray(indexes),
      intArray(backs),
      uuidArray(inputs.map((input) => input.messageId)),
      textArray(inputs.map((input) => input.sender)),
      textArray(inputs.map((input) => input.clientMessageId)),
      byteaArray(inputs.map((input) => input.payloadHash)),
      textArray(inputs.map((input) => input.contentType)),
      byteaArray(inputs.map((input) => input.content)),
      bigintArray(inputs.map((input) => input.sentAtMs)),
      intArray(this.#senderRows.map((row) => at(this.#inboxes.indexes, row))),
      intArray(this.#senderRows.map((row) => at(this.#inboxes.backs, row))),
      intArray(this.#inboxes.indexes),
      intArray(this.#inboxes.backs),
      intArray(this.#rowMessages),
      ...this.#outbox(),
    ];
  }

  /** Users, inboxes, and how far below its head the last message for each is. */
  #outbox(): [Buffer, Buffer, Buffer] {
    const rows = [...this.#lastRows.values()];
    return [
      textArray([...this.#lastRows.keys()]),
      intArray(rows.map((row) => at(this.#inboxes.indexes, row))),
      intArray(rows.map((row) => at(this.#inboxes.backs, row))),
    ];
  }

  /**
   * The cards among them, for `card_ref`: conversations, how far below its counter each message is, what they show, versions,
   * times. Of several that show one thing in one conversation the last. Undefined: there is none, as nearly always.
   */
  cards(): Buffer[] | undefined {
    const last = new Map<string, { input: AppendInput; index: number }>();
    for (const [index, { input }] of this.#deliveries.entries())
      if (input.card) last.set(`${input.conversationId}\0${input.card.ref}`, { input, index });
    if (last.size === 0) return undefined;
    const cards = [...last.values()];
    const { indexes, backs } = this.#conversations;
    return [
      textArray(cards.map(({ input }) => input.conversationId)),
      intArray(cards.map(({ index }) => at(indexes, index))),
      intArray(cards.map(({ index }) => at(backs, index))),
      textArray(cards.map(({ input }) => input.card?.ref)),
      bigintArray(cards.map(({ input }) => input.card?.version ?? 0)),
      bigintArray(cards.map(({ input }) => input.sentAtMs)),
    ];
  }

  /** Messages for their senders alone, for `hide_appended_v1`: conversations, how far below their counters, times, senders. */
  hidden(): Buffer[] | undefined {
    const positions = [...this.#deliveries.keys()].filter((index) => this.#deliveries[index]?.isHidden);
    if (positions.length === 0) return undefined;
    const { indexes, backs } = this.#conversations;
    const inputs = positions.map((index) => (this.#deliveries[index] as Delivery).input);
    return [
      intArray(positions.map((index) => at(indexes, index))),
      intArray(positions.map((index) => at(backs, index))),
      bigintArray(inputs.map(({ sentAtMs }) => sentAtMs)),
      textArray(inputs.map(({ sender }) => sender)),
    ];
  }

  /** For `note_subjects_v1`, in their order: what conversations that are not of one subject say. Undefined: there is none. */
  subjects(): Buffer[] | undefined {
    const named = this.#deliveries.filter(({ input }) => input.subject && input.pairId === undefined);
    if (named.length === 0) return undefined;
    return [
      textArray(named.map(({ input }) => input.conversationId)),
      textArray(named.map(({ input }) => input.subject?.type)),
      textArray(named.map(({ input }) => input.subject?.id)),
      textArray(named.map(({ input, isHidden }) => (isHidden ? input.sender : ""))),
    ];
  }

  /** Both users per conversation, where they are given: they become the users of a new conversation. */
  #pairs(): Map<string, readonly [string, string]> {
    const pairs = new Map<string, readonly [string, string]>();
    for (const { input, pair } of this.#deliveries) if (pair) pairs.set(input.conversationId, pair);
    return pairs;
  }

  /** What was stored, in the order of the deliveries. */
  decode(row: Row | undefined): AppendedMessage[] {
    const lastSeqs = parseNumbers(row?.[0]);
    const heads = parseNumbers(row?.[1]);
    let rowIndex = 0;
    return this.#deliveries.map(({ input, userIds, largeVersion }, index) => ({
      kind: "stored",
      messageId: input.messageId,
      conversationId: input.conversationId,
      convSeq: seqOf(this.#conversations, lastSeqs, index),
      sentAtMs: input.sentAtMs,
      recipients: userIds.map((userId) => ({ userId, inboxSeq: seqOf(this.#inboxes, heads, rowIndex++) })),
      ...(largeVersion === undefined ? {} : { largeVersion }),
    }));
  }
}

function seqOf(numbering: Numbering, counters: readonly number[], occurrence: number): number {
  return at(counters, at(numbering.indexes, occurrence) - 1) + at(numbering.backs, occurrence);
}

function at(numbers: readonly number[], index: number): number {
  const number = numbers[index];
  if (number === undefined) throw new ImError(ErrorCode.INTERNAL, `append: no number ${index} of ${numbers.length}`);
  return number;
}
