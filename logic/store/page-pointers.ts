// SPDX-License-Identifier: Apache-2.0
import { bigintArray, intArray, textArray } from "./binary-array.ts";
import type { Value } from "./postgres-pool.ts";
import { type RawRows, RowCursor } from "./row-tap.ts";

/** A conversation of a page. */
export interface PageConversation {
  id: string;
  /** The same in UTF-8. */
  bytes: Buffer;
}

/** Where to look for messages, as columns of READ_RANGES. */
interface Ranges {
  conversationIds: string[];
  first: number[];
  last: number[];
  /** Each range's first message has this number, the next one the next. */
  numbers: number[];
}

/**
 * What an inbox says about a page: its header, and the pointers in the order of the inbox. Messages are asked for in
 * another order: `positions` leads from the numbers of a question back to the pointers.
 */
export class PagePointers {
  head = 0;
  epoch = "";
  isGapTooLong = false;
  readonly inboxSeqs: number[] = [];
  readonly convSeqs: number[] = [];
  readonly times: number[] = [];
  readonly conversations: PageConversation[] = [];
  /** By number, of the last {@link PagePointers.ranges}. */
  readonly positions: number[] = [];

  /** @param rows of READ_POINTERS */
  constructor(rows: RawRows) {
    const cursor = new RowCursor();
    const known = new Map<string, PageConversation>();
    for (let index = 0; index < rows.length; index++) {
      cursor.open(rows, index);
      const first = cursor.int8();
      const bytes = cursor.next();
      const key = cursor.buffer.toString("latin1", cursor.at, cursor.at + bytes);
      const textAt = cursor.at;
      const third = cursor.int8();
      if (cursor.next() < 0) {
        this.head = first;
        this.epoch = key;
        this.isGapTooLong = third === 1;
        continue;
      }
      let conversation = known.get(key);
      if (!conversation) {
        const copy = Buffer.from(cursor.buffer.subarray(textAt, textAt + bytes));
        conversation = { id: copy.toString(), bytes: copy };
        known.set(key, conversation);
      }
      this.inboxSeqs.push(first);
      this.conversations.push(conversation);
      this.convSeqs.push(third);
      this.times.push(cursor.lastInt8());
    }
  }

  get count(): number {
    return this.inboxSeqs.length;
  }

  /** Values $1 to $6 of READ_RANGES for some pointers, at least one, in their order; fills `positions`. */
  ranges(wanted: readonly number[]): Value[] {
    const byConversation = new Map<PageConversation, number[]>();
    let [fromMs, toMs] = [Number.POSITIVE_INFINITY, 0];
    for (const position of wanted) {
      const conversation = this.conversations[position] as PageConversation;
      const positions = byConversation.get(conversation);
      if (positions) positions.push(position);
      else byConversation.set(conversation, [position]);
      const ms = this.times[position] as number;
      if (ms < fromMs) fromMs = ms;
      if (ms > toMs) toMs = ms;
    }
    const ranges: Ranges = { conversationIds: [], first: [], last: [], numbers: [] };
    this.positions.length = 0;
    for (const [conversation, positions] of byConversation) this.#add(ranges, conversation.id, positions);
    const { conversationIds, first, last, numbers } = ranges;
    const arrays = [textArray(conversationIds), bigintArray(first), bigintArray(last), intArray(numbers)];
    return [...arrays, fromMs, toMs];
  }

  /** The ranges of one conversation: seqs in a row make one. */
  #add(ranges: Ranges, conversationId: string, positions: readonly number[]): void {
    let last = Number.NaN;
    for (const position of positions) {
      const seq = this.convSeqs[position] as number;
      if (seq !== last + 1) {
        ranges.conversationIds.push(conversationId);
        ranges.first.push(seq);
        ranges.numbers.push(this.positions.length);
        ranges.last.push(seq);
      } else ranges.last[ranges.last.length - 1] = seq;
      last = seq;
      this.positions.push(position);
    }
  }
}
