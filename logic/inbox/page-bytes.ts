// SPDX-License-Identifier: Apache-2.0
import { PAGE_EVENTS_TAG, varintLength, writeInteger, writeString, writeVarint } from "../deliver/event-bytes.ts";
import type { EventWriter, PageEnd } from "../store/store.ts";

/** Besides the events: epoch, cursors and flags. */
const PAGE_OVERHEAD_BYTES = 128;
/** Most events take 128 to 16,383 bytes, whose length takes two. */
const USUAL_LENGTH_BYTES = 2;

type Event = Parameters<EventWriter["add"]>[0];

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

  /** One `events` field; its body is written first and moved when its length takes other than two bytes. */
  add(event: Event): void {
    const buffer = this.#buffer;
    const at = this.#at;
    buffer[at] = PAGE_EVENTS_TAG;
    const bodyAt = at + 1 + USUAL_LENGTH_BYTES;
    const end = writeEvent(buffer, bodyAt, event);
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

function writeEvent(buffer: Buffer, start: number, event: Event): number {
  const { content } = event;
  let at = writeInteger(buffer, start, 0x08, event.inboxSeq);
  at = writeString(buffer, at, 0x12, event.conversationId);
  at = writeInteger(buffer, at, 0x18, event.convSeq);
  at = writeString(buffer, at, 0x22, event.messageId);
  at = writeString(buffer, at, 0x2a, event.sender);
  at = writeInteger(buffer, at, 0x30, event.sentAtMs);
  at = writeString(buffer, at, 0x3a, event.clientMessageId);
  at = writeString(buffer, at, 0x42, event.contentType);
  const length = typeof content === "string" ? content.length >> 1 : content.length;
  if (length === 0) return at;
  buffer[at] = 0x4a;
  at = writeVarint(buffer, at + 1, length);
  if (typeof content === "string") buffer.write(content, at, "hex");
  else buffer.set(content, at);
  return at + length;
}
