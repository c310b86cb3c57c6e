// SPDX-License-Identifier: Apache-2.0
// A lean reader and writer of the client protocol for load generators: only the fields that they need, no objects per field.
import { Command } from "#proto/commands.ts";

const TAG_CMD = 0x08;
const TAG_RID = 0x10;
const TAG_BODY = 0x7a;
const TAG_SEND_TO = 0x12;
const TAG_SEND_CMID = 0x1a;
const TAG_SEND_CONTENT = 0x2a;
const TAG_EVENTS = 0x0a;
const TAG_EVENT_CONTENT = 0x4a;
const TAG_FIRST_UINT = 0x08;
const TAG_ACK_INBOX_SEQ = 0x28;

/** Bytes of `value` as a varint. */
function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 128)) length++;
  return length;
}

/** Writes a varint of up to 53 bits; returns the offset behind it. */
export function writeVarint(target: Buffer, value: number, at: number): number {
  let rest = value;
  let offset = at;
  while (rest >= 0x80) {
    target[offset++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  target[offset++] = rest;
  return offset;
}

/** Wraps an encoded body into a frame: length, envelope, body. */
export function frameOf(cmd: number, rid: number, body: Uint8Array): Buffer {
  const envelopeBytes =
    1 + varintLength(cmd) + (rid > 0 ? 1 + varintLength(rid) : 0) + 1 + varintLength(body.length) + body.length;
  const frame = Buffer.allocUnsafe(varintLength(envelopeBytes) + envelopeBytes);
  let at = writeVarint(frame, envelopeBytes, 0);
  frame[at++] = TAG_CMD;
  at = writeVarint(frame, cmd, at);
  if (rid > 0) {
    frame[at++] = TAG_RID;
    at = writeVarint(frame, rid, at);
  }
  frame[at++] = TAG_BODY;
  at = writeVarint(frame, body.length, at);
  frame.set(body, at);
  return frame;
}

/** A SEND frame to one user. `content` is copied. */
export function sendFrame(rid: number, to: string, clientMessageId: string, content: Uint8Array): Buffer {
  const body = Buffer.allocUnsafe(
    2 + to.length + 2 + clientMessageId.length + 1 + varintLength(content.length) + content.length,
  );
  let at = 0;
  body[at++] = TAG_SEND_TO;
  body[at++] = to.length;
  at += body.write(to, at, "latin1");
  body[at++] = TAG_SEND_CMID;
  body[at++] = clientMessageId.length;
  at += body.write(clientMessageId, at, "latin1");
  body[at++] = TAG_SEND_CONTENT;
  at = writeVarint(body, content.length, at);
  body.set(content, at);
  return frameOf(Command.SEND, rid, body);
}

/** A PUSH_ACK frame: everything up to `inboxSeq` was applied. */
export function pushAckFrame(inboxSeq: number): Buffer {
  const body = Buffer.allocUnsafe(1 + varintLength(inboxSeq));
  body[0] = TAG_FIRST_UINT;
  writeVarint(body, inboxSeq, 1);
  return frameOf(Command.PUSH_ACK, 0, body);
}

/** A position in a buffer that reads protobuf fields. One is reused for all frames. */
export class Cursor {
  buffer: Buffer = Buffer.alloc(0);
  at = 0;

  varint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.buffer[this.at++] ?? 0;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  }

  /** Skips the value of a field by its wire type. @throws RangeError on a type that is not used here */
  skip(tag: number): void {
    const wireType = tag & 7;
    if (wireType === 0) this.varint();
    else if (wireType === 2) {
      const length = this.varint();
      this.at += length;
    } else throw new RangeError(`wire type ${wireType} at byte ${this.at}`);
  }
}

/** Of the frame that is being read: one for all readers. */
const cursor = new Cursor();

/** Takes what a connection receives. Buffers are views: copy what is kept. */
export interface FrameSink {
  frame(cmd: number, rid: number, body: Buffer): void;
}

/** Cuts a byte stream into frames. */
export class FrameReader {
  #rest: Buffer | undefined;
  readonly #sink: FrameSink;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  push(chunk: Buffer): void {
    const data = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk;
    let at = 0;
    while (at < data.length) {
      const end = this.#frameEnd(data, at);
      if (end === undefined) break;
      this.#read(data, cursor.at, end);
      at = end;
    }
    this.#rest = at < data.length ? Buffer.from(data.subarray(at)) : undefined;
  }

  /** Offset behind the frame at `at`, the cursor behind its length; undefined when it is not complete. */
  #frameEnd(data: Buffer, at: number): number | undefined {
    let length = 0;
    let scale = 1;
    for (let offset = at; offset < data.length; offset++) {
      const byte = data[offset] ?? 0;
      length += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte >= 0x80) continue;
      cursor.at = offset + 1;
      const end = offset + 1 + length;
      return end <= data.length ? end : undefined;
    }
    return undefined;
  }

  #read(data: Buffer, start: number, end: number): void {
    cursor.buffer = data;
    cursor.at = start;
    let cmd = 0;
    let rid = 0;
    let body: Buffer = EMPTY;
    while (cursor.at < end) {
      const tag = cursor.varint();
      if (tag === TAG_CMD) cmd = cursor.varint();
      else if (tag === TAG_RID) rid = cursor.varint();
      else if (tag === TAG_BODY) {
        const length = cursor.varint();
        body = data.subarray(cursor.at, cursor.at + length);
        cursor.at += length;
      } else cursor.skip(tag);
    }
    this.#sink.frame(cmd, rid, body);
  }
}

const EMPTY = Buffer.alloc(0);

/** Calls `visit` with (inbox seq, content) of each event of a PUSH body. */
export function readPush(body: Buffer, visit: (inboxSeq: number, content: Buffer) => void): void {
  const cursor = new Cursor();
  cursor.buffer = body;
  while (cursor.at < body.length) {
    const tag = cursor.varint();
    if (tag !== TAG_EVENTS) {
      cursor.skip(tag);
      continue;
    }
    const length = cursor.varint();
    readEvent(cursor, cursor.at + length, visit);
  }
}

/** Reads the event that ends at `end`. */
export function readEvent(cursor: Cursor, end: number, visit: (inboxSeq: number, content: Buffer) => void): void {
  let inboxSeq = 0;
  let content: Buffer = EMPTY;
  while (cursor.at < end) {
    const tag = cursor.varint();
    if (tag === TAG_FIRST_UINT) inboxSeq = cursor.varint();
    else if (tag === TAG_EVENT_CONTENT) {
      const length = cursor.varint();
      content = cursor.buffer.subarray(cursor.at, cursor.at + length);
      cursor.at += length;
    } else cursor.skip(tag);
  }
  visit(inboxSeq, content);
}

/** `inbox_seq` of a SEND_ACK body. */
export function readAckedSeq(body: Buffer): number {
  const cursor = new Cursor();
  cursor.buffer = body;
  while (cursor.at < body.length) {
    const tag = cursor.varint();
    if (tag === TAG_ACK_INBOX_SEQ) return cursor.varint();
    cursor.skip(tag);
  }
  return 0;
}
