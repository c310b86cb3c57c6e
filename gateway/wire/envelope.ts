// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";

/**
 * Reader and writer of the client wire's `Envelope`, by hand: the hot path of an entry. The body is sliced, never
 * parsed. Behaves like protobuf: any field order, the last value of a field wins, unknown fields are skipped.
 */

const TAG_CMD = 0x08;
const TAG_RID = 0x10;
const TAG_FLAGS = 0x18;
const TAG_LEASE = 0x2a;
const TAG_BODY = 0x7a;

const EMPTY = Buffer.alloc(0);

/** What the last {@link EnvelopeReader.read} found. One object per connection loop, reused: copy what must last. */
export class EnvelopeReader {
  cmd = 0;
  rid = 0;
  flags = 0;
  /** View of the input, as is the body. */
  lease: Buffer = EMPTY;
  body: Buffer = EMPTY;
  #at = 0;
  #value = 0;

  /** Parses `buffer[start, end)`; false when that is no Envelope. */
  read(buffer: Buffer, start: number, end: number): boolean {
    this.cmd = 0;
    this.rid = 0;
    this.flags = 0;
    this.lease = EMPTY;
    this.body = EMPTY;
    this.#at = start;
    while (this.#at < end) {
      if (!this.#varint(buffer, end)) return false;
      const tag = this.#value;
      if (!this.#field(buffer, end, tag)) return false;
    }
    return this.#at === end;
  }

  #field(buffer: Buffer, end: number, tag: number): boolean {
    switch (tag) {
      case TAG_CMD:
        if (!this.#varint(buffer, end)) return false;
        this.cmd = this.#value;
        return true;
      case TAG_RID:
        if (!this.#varint(buffer, end)) return false;
        this.rid = this.#value;
        return true;
      case TAG_FLAGS:
        if (!this.#varint(buffer, end)) return false;
        this.flags = this.#value;
        return true;
      case TAG_BODY: {
        const from = this.#bytes(buffer, end);
        if (from < 0) return false;
        this.body = buffer.subarray(from, this.#at);
        return true;
      }
      case TAG_LEASE: {
        const from = this.#bytes(buffer, end);
        if (from < 0) return false;
        this.lease = buffer.subarray(from, this.#at);
        return true;
      }
      default:
        return tag >>> 3 !== 0 && this.#skip(buffer, end, tag & 7);
    }
  }

  /** Passes over a bytes field; where its content begins, or -1. */
  #bytes(buffer: Buffer, end: number): number {
    if (!this.#varint(buffer, end)) return -1;
    const from = this.#at;
    return this.#advance(this.#value, end) ? from : -1;
  }

  /** Skips a field this build does not know. Groups are not proto3: refused. */
  #skip(buffer: Buffer, end: number, wireType: number): boolean {
    switch (wireType) {
      case 0:
        return this.#varint(buffer, end);
      case 1:
        return this.#advance(8, end);
      case 2:
        return this.#varint(buffer, end) && this.#advance(this.#value, end);
      case 5:
        return this.#advance(4, end);
      default:
        return false;
    }
  }

  #advance(bytes: number, end: number): boolean {
    if (bytes > end - this.#at) return false;
    this.#at += bytes;
    return true;
  }

  /** Reads up to 10 bytes and keeps the low 32 bits, as protobuf does for uint32. */
  #varint(buffer: Buffer, end: number): boolean {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.#at >= end) return false;
      const byte = buffer[this.#at++] as number;
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.#value = value >>> 0;
        return true;
      }
    }
    return false;
  }
}

/** Bytes of `value` (0 to 2^32 - 1) as a varint. */
export function varintLength(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  return value < 0x1000_0000 ? 4 : 5;
}

/** Writes `value` (0 to 2^53 - 1) at `at`; returns the position after it. */
export function writeVarint(buffer: Buffer, value: number, at: number): number {
  let rest = value;
  let position = at;
  while (rest >= 0x80) {
    buffer[position++] = (rest & 0x7f) | 0x80;
    // Not a shift: those cut at 32 bits.
    rest = Math.floor(rest / 0x80);
  }
  buffer[position++] = rest;
  return position;
}

/** One length-prefixed frame in a buffer of its own. Zero fields and an empty body are left out, as proto3 does. */
export function encodeFrame(cmd: number, rid: number, flags: number, body: Uint8Array = EMPTY): Buffer {
  const [frame, at] = startFrame(cmd, rid, flags, body.length);
  frame.set(body, at);
  return frame;
}

/** As {@link encodeFrame}, with the body given in pieces: joins inbox events to one PUSH with a single copy. */
export function encodeFrameOf(
  cmd: number,
  rid: number,
  flags: number,
  parts: readonly Uint8Array[],
  bodyLength: number,
): Buffer {
  const [frame, start] = startFrame(cmd, rid, flags, bodyLength);
  let at = start;
  for (const part of parts) {
    frame.set(part, at);
    at += part.length;
  }
  return frame;
}

/** The same frame with a lease of at most 127 bytes, at its end: protobuf takes fields in any order. */
export function withLease(frame: Buffer, lease: Uint8Array): Buffer {
  const [length, start] = readLength(frame);
  const size = length + 2 + lease.length;
  const leased = Buffer.allocUnsafe(varintLength(size) + size);
  let at = writeVarint(leased, size, 0);
  at += frame.copy(leased, at, start);
  leased[at] = TAG_LEASE;
  leased[at + 1] = lease.length;
  leased.set(lease, at + 2);
  return leased;
}

/** The length that a frame of ours begins with, and where that ends. */
function readLength(frame: Buffer): [length: number, end: number] {
  const size = [1, 2, 3, 4].find((bytes) => varintLength(frame.length - bytes) === bytes) ?? 5;
  return [frame.length - size, size];
}

/** Allocates the frame and writes everything but the body; returns it and where the body goes. */
function startFrame(cmd: number, rid: number, flags: number, bodyLength: number): [Buffer, number] {
  let size = 0;
  if (cmd !== 0) size += 1 + varintLength(cmd);
  if (rid !== 0) size += 1 + varintLength(rid);
  if (flags !== 0) size += 1 + varintLength(flags);
  if (bodyLength !== 0) size += 1 + varintLength(bodyLength) + bodyLength;
  const frame = Buffer.allocUnsafe(varintLength(size) + size);
  let at = writeVarint(frame, size, 0);
  if (cmd !== 0) at = writeField(frame, TAG_CMD, cmd, at);
  if (rid !== 0) at = writeField(frame, TAG_RID, rid, at);
  if (flags !== 0) at = writeField(frame, TAG_FLAGS, flags, at);
  if (bodyLength !== 0) at = writeField(frame, TAG_BODY, bodyLength, at);
  return [frame, at];
}

function writeField(frame: Buffer, tag: number, value: number, at: number): number {
  frame[at] = tag;
  return writeVarint(frame, value, at + 1);
}
