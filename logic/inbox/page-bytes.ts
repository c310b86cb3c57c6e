// SPDX-License-Identifier: Apache-2.0
import { PAGE_EVENTS_TAG, varintLength, writeInteger, writeString, writeVarint } from "../deliver/event-bytes.ts";
import type { EventRow, EventWriter, PageEnd, StoredEvent } from "../store/store.ts";

/** Besides the events: epoch, cursors and flags. */
const PAGE_OVERHEAD_BYTES = 128;
/** Most events take 128 to 16,383 bytes, whose length takes two. */
const USUAL_LENGTH_BYTES = 2;
const UUID_CHARS = 36;
const HYPHEN = 45;
const HEX_DIGITS = Buffer.from("0123456789abcdef");

/**
 * Writes a SyncPage by hand into one buffer, straight from what the database said: 0.9 µs an event against 2.6 of the
 * codec, on the way of everybody who comes back.
 */
export class SyncPageWriter implements EventWriter {
  readonly #buffer: Buffer;
  #at: number;
  #count = 0;

  /** `bytes`: what the events count for, see eventBytes in store.ts. */
  constructor(epoch: string, bytes: number) {
    this.#buffer = Buffer.allocUnsafe(epoch.length * 3 + PAGE_OVERHEAD_BYTES + bytes);
    this.#at = writeString(this.#buffer, 0, 0x0a, epoch);
  }

  get count(): number {
    return this.#count;
  }

  add(event: StoredEvent): void {
    this.#field(writeEvent(this.#buffer, this.#at + 1 + USUAL_LENGTH_BYTES, event));
  }

  addRow(row: EventRow): void {
    this.#field(writeRow(this.#buffer, this.#at + 1 + USUAL_LENGTH_BYTES, row));
  }

  /** Makes one `events` field of what was written up to `end`: it is moved when its length takes other than two bytes. */
  #field(end: number): void {
    const buffer = this.#buffer;
    const at = this.#at;
    buffer[at] = PAGE_EVENTS_TAG;
    const bodyAt = at + 1 + USUAL_LENGTH_BYTES;
    const length = end - bodyAt;
    const lengthBytes = varintLength(length);
    if (lengthBytes !== USUAL_LENGTH_BYTES) buffer.copyWithin(at + 1 + lengthBytes, bodyAt, end);
    writeVarint(buffer, at + 1, length);
    this.#at = at + 1 + lengthBytes + length;
    this.#count++;
  }

  /** The body of SYNC_PAGE. */
  finish({ nextCursor, head, more, isGapTooLong }: PageEnd): Buffer {
    const buffer = this.#buffer;
    let at = writeInteger(buffer, this.#at, 0x18, nextCursor);
    at = writeInteger(buffer, at, 0x20, head);
    at = writeInteger(buffer, at, 0x28, Number(more));
    at = writeInteger(buffer, at, 0x30, Number(isGapTooLong));
    return buffer.subarray(0, at);
  }
}

function writeEvent(buffer: Buffer, start: number, event: StoredEvent): number {
  const { content } = event;
  let at = writeInteger(buffer, start, 0x08, event.inboxSeq);
  at = writeString(buffer, at, 0x12, event.conversationId);
  at = writeInteger(buffer, at, 0x18, event.convSeq);
  at = writeString(buffer, at, 0x22, event.messageId);
  at = writeString(buffer, at, 0x2a, event.sender);
  at = writeInteger(buffer, at, 0x30, event.sentAtMs);
  at = writeString(buffer, at, 0x3a, event.clientMessageId);
  at = writeString(buffer, at, 0x42, event.contentType);
  if (content.length === 0) return at;
  buffer[at] = 0x4a;
  at = writeVarint(buffer, at + 1, content.length);
  buffer.set(content, at);
  return at + content.length;
}

function writeRow(target: Buffer, start: number, row: EventRow): number {
  const source = row.buffer;
  let at = writeInteger(target, start, 0x08, row.inboxSeq);
  at = writeBytes(target, at, 0x12, row.conversationId, 0, row.conversationId.length);
  at = writeInteger(target, at, 0x18, row.convSeq);
  target[at] = 0x22;
  target[at + 1] = UUID_CHARS;
  at = writeUuid(target, at + 2, source, row.messageIdAt);
  at = writeBytes(target, at, 0x2a, source, row.senderAt, row.senderBytes);
  at = writeInteger(target, at, 0x30, row.sentAtMs);
  at = writeBytes(target, at, 0x3a, source, row.clientMessageIdAt, row.clientMessageIdBytes);
  at = writeBytes(target, at, 0x42, source, row.contentTypeAt, row.contentTypeBytes);
  return writeBytes(target, at, 0x4a, source, row.contentAt, row.contentBytes);
}

/** A length-delimited field; an empty one is left out, as proto3 does. */
function writeBytes(
  target: Buffer,
  start: number,
  tag: number,
  source: Uint8Array,
  from: number,
  bytes: number,
): number {
  if (bytes === 0) return start;
  target[start] = tag;
  const at = writeVarint(target, start + 1, bytes);
  const end = from + bytes;
  // Calling copy takes as long as a loop over some sixty bytes.
  if (bytes > 64) target.set(source.subarray(from, end), at);
  else for (let read = from, write = at; read < end; read++, write++) target[write] = source[read] as number;
  return at + bytes;
}

/** The usual text form of 16 bytes. */
function writeUuid(target: Buffer, start: number, source: Buffer, from: number): number {
  let at = start;
  for (let index = 0; index < 16; index++) {
    if (index === 4 || index === 6 || index === 8 || index === 10) target[at++] = HYPHEN;
    const byte = source[from + index] as number;
    target[at++] = HEX_DIGITS[byte >> 4] as number;
    target[at++] = HEX_DIGITS[byte & 15] as number;
  }
  return at;
}
