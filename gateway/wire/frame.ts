// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { DisconnectCode } from "#lib/codes.ts";
import { MAX_LENGTH_VARINT_BYTES } from "#proto/commands.ts";

/** Receives whole frames. `buffer[start, end)` is the Envelope, valid only during the call. */
export interface FrameSink {
  /** False ends the reading: the connection is closed. */
  onFrame(buffer: Buffer, start: number, end: number): boolean;
}

/** BAD_FRAME or FRAME_TOO_LARGE: close with it. undefined: go on. */
export type FrameFault = DisconnectCode | undefined;

const INITIAL_PARTIAL_BYTES = 512;
const INCOMPLETE = -1;
const BAD_LENGTH = -2;
const FAULT = -1;

/**
 * Cuts a byte stream into length-prefixed frames. Bytes of an incomplete frame are copied to a buffer that grows with
 * what arrived, not with what the length claims; so a connection that announces 256 KiB and sends nothing costs 4 bytes.
 */
export class FrameReader {
  /** Largest frame accepted, bytes. */
  maxFrameBytes: number;
  #partial: Buffer | undefined;
  #filled = 0;
  #header = 0;
  #length: number = INCOMPLETE;

  constructor(maxFrameBytes: number) {
    this.maxFrameBytes = maxFrameBytes;
  }

  /** Bytes held of a frame that is not complete yet. */
  get pendingBytes(): number {
    return this.#filled;
  }

  /** Feeds one chunk. After a fault, or after the sink said stop, feed nothing more. */
  push(chunk: Buffer, sink: FrameSink): FrameFault {
    let at = 0;
    while (at < chunk.length) {
      if (this.#filled > 0) {
        const consumed = this.#complete(chunk, at);
        if (consumed === FAULT) return this.#fault();
        at += consumed;
        if (this.#isComplete() && !this.#emitPartial(sink)) return undefined;
        continue;
      }
      const start = this.#readLength(chunk, at, chunk.length);
      if (!this.#isLengthAllowed()) return this.#fault();
      if (this.#length === INCOMPLETE || start + this.#length > chunk.length) {
        this.#header = start - at;
        this.#append(chunk, at, chunk.length);
        return undefined;
      }
      at = start + this.#length;
      if (!sink.onFrame(chunk, start, at)) return undefined;
    }
    return undefined;
  }

  /** True when the stream may end here: no frame is cut. */
  get isAtBoundary(): boolean {
    return this.#filled === 0;
  }

  /** Releases what is held. */
  reset(): void {
    this.#partial = undefined;
    this.#filled = 0;
    this.#length = INCOMPLETE;
  }

  #fault(): DisconnectCode {
    const tooLarge = this.#length > this.maxFrameBytes;
    this.reset();
    return tooLarge ? DisconnectCode.FRAME_TOO_LARGE : DisconnectCode.BAD_FRAME;
  }

  #isLengthAllowed(): boolean {
    return this.#length === INCOMPLETE || (this.#length > 0 && this.#length <= this.maxFrameBytes);
  }

  #isComplete(): boolean {
    return this.#length !== INCOMPLETE && this.#filled === this.#header + this.#length;
  }

  /** Sets #length to the length prefix at `at` (or INCOMPLETE, BAD_LENGTH); returns where the envelope starts. */
  #readLength(buffer: Buffer, at: number, end: number): number {
    let value = 0;
    for (let i = 0; i < MAX_LENGTH_VARINT_BYTES; i++) {
      if (at + i >= end) {
        this.#length = INCOMPLETE;
        return at;
      }
      const byte = buffer[at + i] as number;
      value |= (byte & 0x7f) << (7 * i);
      if (byte < 0x80) {
        this.#length = value;
        return at + i + 1;
      }
    }
    this.#length = BAD_LENGTH;
    return at;
  }

  /** Adds bytes to the partial frame, at most up to its end; returns how many, or FAULT. */
  #complete(chunk: Buffer, at: number): number {
    if (this.#length === INCOMPLETE) {
      this.#append(chunk, at, at + 1);
      const partial = this.#partial ?? Buffer.alloc(0);
      this.#header = this.#readLength(partial, 0, this.#filled);
      return this.#isLengthAllowed() ? 1 : FAULT;
    }
    const missing = this.#header + this.#length - this.#filled;
    const count = Math.min(missing, chunk.length - at);
    this.#append(chunk, at, at + count);
    return count;
  }

  #append(chunk: Buffer, from: number, to: number): void {
    const needed = this.#filled + to - from;
    let partial = this.#partial;
    if (!partial || partial.length < needed) {
      const size = Math.max(needed, partial ? partial.length * 2 : INITIAL_PARTIAL_BYTES);
      // Not from the shared pool: a slow frame must not pin 8 KiB of other people's memory.
      const grown = Buffer.allocUnsafeSlow(size);
      partial?.copy(grown, 0, 0, this.#filled);
      partial = grown;
      this.#partial = grown;
    }
    chunk.copy(partial, this.#filled, from, to);
    this.#filled = needed;
  }

  #emitPartial(sink: FrameSink): boolean {
    const partial = this.#partial;
    const start = this.#header;
    const end = start + this.#length;
    this.reset();
    return partial === undefined || sink.onFrame(partial, start, end);
  }
}
