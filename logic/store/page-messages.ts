// SPDX-License-Identifier: Apache-2.0
import type { PagePointers } from "./page-pointers.ts";
import { type RawRows, RowCursor } from "./row-tap.ts";
import { EVENT_OVERHEAD_BYTES, type EventRow, type StoredEvent } from "./store.ts";

const EMPTY = Buffer.alloc(0);

/** A message of a page in place, as a row of READ_RANGES. */
export class MessageRow implements EventRow {
  inboxSeq = 0;
  convSeq = 0;
  sentAtMs = 0;
  conversationId: Buffer = EMPTY;
  buffer: Buffer = EMPTY;
  messageIdAt = 0;
  senderAt = 0;
  senderBytes = 0;
  clientMessageIdAt = 0;
  clientMessageIdBytes = 0;
  contentTypeAt = 0;
  contentTypeBytes = 0;
  contentAt = 0;
  contentBytes = 0;
  /** The row has the size of its content only. */
  isBare = false;
  readonly #cursor = new RowCursor();

  /** Goes to the message of a pointer, whose row has its second column at `offset`. */
  open(pointers: PagePointers, position: number, buffer: Buffer, offset: number): void {
    this.inboxSeq = pointers.inboxSeqs[position] as number;
    this.convSeq = pointers.convSeqs[position] as number;
    this.sentAtMs = pointers.times[position] as number;
    this.conversationId = (pointers.conversations[position] as { bytes: Buffer }).bytes;
    this.buffer = buffer;
    const cursor = this.#cursor;
    cursor.seek(buffer, offset);
    cursor.next();
    this.messageIdAt = cursor.at;
    this.senderBytes = cursor.next();
    this.senderAt = cursor.at;
    this.clientMessageIdBytes = cursor.next();
    this.clientMessageIdAt = cursor.at;
    this.contentTypeBytes = cursor.next();
    this.contentTypeAt = cursor.at;
    this.contentBytes = cursor.next();
    this.contentAt = cursor.at;
    this.isBare = this.contentBytes < 0;
    if (this.isBare) this.contentBytes = cursor.int4();
  }

  /** See eventBytes in store.ts. */
  get bytes(): number {
    const texts = this.conversationId.length + this.senderBytes + this.clientMessageIdBytes + this.contentTypeBytes;
    return EVENT_OVERHEAD_BYTES + texts + this.contentBytes;
  }

  toEvent(): StoredEvent {
    const { buffer, inboxSeq, convSeq, sentAtMs } = this;
    const text = (at: number, bytes: number): string => buffer.toString("utf8", at, at + bytes);
    const id = buffer.toString("hex", this.messageIdAt, this.messageIdAt + 16);
    return {
      inboxSeq,
      conversationId: this.conversationId.toString(),
      convSeq,
      messageId: `${id.slice(0, 8)}-${id.slice(8, 12)}-${id.slice(12, 16)}-${id.slice(16, 20)}-${id.slice(20)}`,
      sender: text(this.senderAt, this.senderBytes),
      clientMessageId: text(this.clientMessageIdAt, this.clientMessageIdBytes),
      contentType: text(this.contentTypeAt, this.contentTypeBytes),
      content: Buffer.from(buffer.subarray(this.contentAt, this.contentAt + this.contentBytes)),
      sentAtMs,
    };
  }
}

/** The messages of a page, by the positions of their pointers; a pointer whose message is gone has none. */
export class PageMessages {
  /** What the events count for, see eventBytes in store.ts. */
  bytes = 0;
  /** Inbox seq of the last event, 0 = there is none. */
  lastSeq = 0;
  /** The limit in bytes ended the page: there are others. */
  isCut = false;
  readonly #pointers: PagePointers;
  readonly #buffers: (Buffer | undefined)[];
  readonly #offsets: number[];
  readonly #row = new MessageRow();
  /** Positions from here on are not in the page. */
  #end: number;

  constructor(pointers: PagePointers) {
    this.#pointers = pointers;
    this.#end = pointers.count;
    this.#buffers = new Array<Buffer | undefined>(pointers.count).fill(undefined);
    this.#offsets = new Array<number>(pointers.count).fill(0);
  }

  /** Takes the answer to the last question that the pointers made. */
  add(rows: RawRows): void {
    const { positions } = this.#pointers;
    const cursor = new RowCursor();
    for (let index = 0; index < rows.length; index++) {
      cursor.open(rows, index);
      const position = positions[cursor.int4()] as number;
      this.#buffers[position] = cursor.buffer;
      this.#offsets[position] = cursor.end;
    }
  }

  /**
   * Ends the page where the limit in bytes does, but not before its first event. Called again when contents were read after
   * that: an edit in between may have changed their sizes. @returns positions without content
   */
  cut(limitBytes: number): number[] {
    const bare: number[] = [];
    const wasCut = this.isCut;
    this.bytes = 0;
    this.lastSeq = 0;
    for (let position = 0; position < this.#end; position++) {
      const row = this.#open(position);
      if (!row) continue;
      this.isCut = this.lastSeq > 0 && this.bytes + row.bytes > limitBytes;
      if (this.isCut) this.#end = position;
      else {
        this.bytes += row.bytes;
        this.lastSeq = row.inboxSeq;
        if (row.isBare) bare.push(position);
      }
    }
    this.isCut ||= wasCut;
    return bare;
  }

  /** Calls `take` with each event in order, in one object: copy what must last. */
  visit(take: (row: MessageRow) => void): void {
    for (let position = 0; position < this.#end; position++) {
      const row = this.#open(position);
      // Retention took it between the questions.
      if (row && !row.isBare) take(row);
    }
  }

  #open(position: number): MessageRow | undefined {
    const buffer = this.#buffers[position];
    if (!buffer) return undefined;
    this.#row.open(this.#pointers, position, buffer, this.#offsets[position] as number);
    return this.#row;
  }
}
