// SPDX-License-Identifier: Apache-2.0
// The little of the protobuf wire format that client.proto uses: varints and length-delimited fields.
import { DisconnectCode } from "./codes.ts";
import { ImClientError } from "./errors.ts";

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;
const TWO_32 = 2 ** 32;
const MAX_VARINT_BYTES = 10;
/** Up to this length a loop is faster than the text encoder. */
const SHORT_TEXT = 64;

const encoder = new TextEncoder();
// A leading U+FEFF belongs to the text.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export const EMPTY: Uint8Array = new Uint8Array(0);

/** UTF-8 of a string. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** String of UTF-8 bytes; what is no UTF-8 becomes U+FFFD. */
export function text(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

export function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const [only] = chunks;
  if (only !== undefined && chunks.length === 1) return only;
  const joined = new Uint8Array(chunks.reduce((total, chunk) => total + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    joined.set(chunk, at);
    at += chunk.length;
  }
  return joined;
}

/** What came is no message. */
export function malformed(what: string): ImClientError {
  return new ImClientError(DisconnectCode.BAD_FRAME, `malformed message: ${what}`);
}

/** Bytes of a message without large fields; grows when that is not enough. */
const INITIAL_BYTES = 256;

/** Collects fields of one message, or the bytes of a frame. */
export class Writer {
  #bytes = new Uint8Array(INITIAL_BYTES);
  #at = 0;

  varint(field: number, value: number): void {
    this.rawVarint(field * 8 + VARINT);
    // Two's complement, as int64 asks for; only timestamps before 1970 get here.
    if (value < 0) this.#negative(value);
    else this.rawVarint(value);
  }

  bytes(field: number, value: Uint8Array): void {
    this.rawVarint(field * 8 + DELIMITED);
    this.rawVarint(value.length);
    this.raw(value);
  }

  /** Short ASCII, which ids are, goes without the encoder: three times as fast. */
  string(field: number, value: string): void {
    const { length } = value;
    if (length > SHORT_TEXT || !isAscii(value)) {
      this.bytes(field, utf8(value));
      return;
    }
    this.rawVarint(field * 8 + DELIMITED);
    this.rawVarint(length);
    this.#reserve(length);
    for (let i = 0; i < length; i++) this.#bytes[this.#at++] = value.charCodeAt(i);
  }

  raw(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  /** The varint of a non-negative integer below 2^64. */
  rawVarint(value: number): void {
    this.#reserve(MAX_VARINT_BYTES);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#at++] = rest;
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }

  #negative(value: number): void {
    this.#reserve(MAX_VARINT_BYTES);
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest >= 0x80n; rest >>= 7n) this.#bytes[this.#at++] = Number(rest & 0x7fn) | 0x80;
    this.#bytes[this.#at++] = Number(rest);
  }

  #reserve(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = grown;
  }
}

function isAscii(value: string): boolean {
  for (let i = 0; i < value.length; i++) if (value.charCodeAt(i) > 0x7f) return false;
  return true;
}

/** Walks the fields of one message. Every length is checked before it is used. */
export class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;
  /** Halves of the varint read last. */
  #low = 0;
  #high = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** Unsigned; above 2^53 it is rounded, and then fails the bounds check of its use. */
  varint(): number {
    this.#readVarint();
    return this.#high * TWO_32 + this.#low;
  }

  /** The low 32 bits. */
  uint32(): number {
    this.#readVarint();
    return this.#low;
  }

  int64(): number {
    this.#readVarint();
    return (this.#high | 0) * TWO_32 + this.#low;
  }

  /** A view of the input, not a copy. */
  bytes(): Uint8Array {
    const length = this.varint();
    return this.#take(length);
  }

  skip(wireType: number): void {
    if (wireType === VARINT) this.varint();
    else if (wireType === DELIMITED) this.bytes();
    else if (wireType === FIXED64) this.#take(8);
    else if (wireType === FIXED32) this.#take(4);
    else throw malformed(`wire type ${wireType}`);
  }

  #readVarint(): void {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw malformed("truncated varint");
      const bits = byte & 0x7f;
      // Bits 28-34 straddle the two halves; a shift by 32 or more would wrap round.
      if (shift < 32) low |= bits << shift;
      if (shift === 28) high = bits >>> 4;
      else if (shift > 28) high |= bits << (shift - 32);
      if (byte < 0x80) {
        this.#low = low >>> 0;
        this.#high = high >>> 0;
        return;
      }
    }
    throw malformed("varint over 10 bytes");
  }

  #take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#at) throw malformed("truncated field");
    const view = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return view;
  }
}
