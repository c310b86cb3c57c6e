// SPDX-License-Identifier: Apache-2.0
import { idInTenant } from "#lib/tenant.ts";
import type { Event } from "#proto/gen/messages.ts";

/** Tag of `events` in Push (field 1) and in SyncPage (field 2), length-delimited. */
export const PUSH_EVENTS_TAG = 0x0a;
export const PAGE_EVENTS_TAG = 0x12;

/** The fields of {@link Event} that are the same for every recipient. */
export type SharedEvent = Omit<Event, "inboxSeq">;

/** Tag, length and inbox seq of an `events` field: 1 + 5 + 1 + 8 bytes at most. */
const HEAD_BYTES = 15;

/**
 * The `events` fields of one message, ready to be concatenated into a Push or SyncPage body. A hand writer: Event fields
 * 2 to 9 are written once, each recipient's inbox seq is put in front of them. The first field is made in place, in
 * memory that belongs to it alone; each later one is a copy.
 */
export class EventFields {
  readonly #tag: number;
  readonly #event: SharedEvent;
  #bytes: Buffer | undefined;

  /** @param tag of `events` in the body */
  constructor(tag: number, event: SharedEvent) {
    this.#tag = tag;
    this.#event = event;
  }

  /** The field as the recipient with this inbox seq gets it. */
  of(inboxSeq: number): Buffer {
    const known = this.#bytes;
    const bytes = known ? Buffer.from(known) : sharedEventBytes(this.#event);
    this.#bytes ??= bytes;
    const sharedBytes = bytes.length - HEAD_BYTES;
    const seqBytes = inboxSeq > 0 ? 1 + varintLength(inboxSeq) : 0;
    const length = seqBytes + sharedBytes;
    const start = HEAD_BYTES - seqBytes - varintLength(length) - 1;
    bytes[start] = this.#tag;
    const at = writeVarint(bytes, start + 1, length);
    writeInteger(bytes, at, 0x08, inboxSeq);
    return bytes.subarray(start);
  }
}

/** Room for the head, then Event fields 2 to 9. */
function sharedEventBytes(event: SharedEvent): Buffer {
  const { conversationId, messageId, clientMessageId, contentType, content } = event;
  // Whoever gets it is of the sender's tenant.
  const sender = idInTenant(event.sender);
  const strings =
    conversationId.length + messageId.length + sender.length + clientMessageId.length + contentType.length;
  const buffer = Buffer.allocUnsafe(HEAD_BYTES + strings * 3 + content.length + 80);
  let at = writeString(buffer, HEAD_BYTES, 0x12, conversationId);
  at = writeInteger(buffer, at, 0x18, event.convSeq);
  at = writeString(buffer, at, 0x22, messageId);
  at = writeString(buffer, at, 0x2a, sender);
  at = writeInteger(buffer, at, 0x30, event.sentAtMs);
  at = writeString(buffer, at, 0x3a, clientMessageId);
  at = writeString(buffer, at, 0x42, contentType);
  if (content.length > 0) {
    buffer[at] = 0x4a;
    at = writeVarint(buffer, at + 1, content.length);
    buffer.set(content, at);
    at += content.length;
  }
  return buffer.subarray(0, at);
}

/** Writes a string field; an empty one is left out, as proto3 does. */
export function writeString(buffer: Buffer, at: number, tag: number, value: string): number {
  if (value === "") return at;
  buffer[at] = tag;
  // One byte of length holds up to 127; a longer string is measured first.
  if (value.length < 43) {
    const bytes = buffer.write(value, at + 2);
    buffer[at + 1] = bytes;
    return at + 2 + bytes;
  }
  const start = writeVarint(buffer, at + 1, Buffer.byteLength(value));
  return start + buffer.write(value, start);
}

/** Writes a varint field; 0 is left out, as proto3 does. */
export function writeInteger(buffer: Buffer, at: number, tag: number, value: number): number {
  if (value === 0) return at;
  buffer[at] = tag;
  return writeVarint(buffer, at + 1, value);
}

/** Writes an unsigned integer below 2^53; returns the offset behind it. */
export function writeVarint(buffer: Buffer, at: number, value: number): number {
  let offset = at;
  let rest = value;
  while (rest >= 0x8000_0000) {
    buffer[offset++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  while (rest >= 0x80) {
    buffer[offset++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  buffer[offset++] = rest;
  return offset;
}

/** Bytes of {@link writeVarint}. */
export function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) length++;
  return length;
}
