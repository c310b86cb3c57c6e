// SPDX-License-Identifier: Apache-2.0

import { Envelope } from "./codec.ts";
import { DisconnectCode, MAX_FRAME_BYTES, MAX_LENGTH_VARINT_BYTES } from "./codes.ts";
import { ImClientError } from "./errors.ts";
import { EMPTY, Writer } from "./wire.ts";

/** One frame as it travels: length varint, then the envelope. */
export function encodeFrame(envelope: Partial<Envelope>): Uint8Array {
  const body = Envelope.encode(envelope);
  const out = new Writer();
  out.rawVarint(body.length);
  out.raw(body);
  return out.finish();
}

interface Header {
  /** Bytes of the length varint. */
  size: number;
  length: number;
}

/** Cuts a byte stream, split anywhere, into envelopes. After a throw it must not be used again. */
export class FrameSplitter {
  readonly #maxFrameBytes: number;
  #pending: Uint8Array = EMPTY;
  #used = 0;

  constructor(maxFrameBytes: number = MAX_FRAME_BYTES) {
    this.#maxFrameBytes = maxFrameBytes;
  }

  /**
   * Envelopes completed by `chunk`. Their bytes fields are views of it.
   * @throws ImClientError FRAME_TOO_LARGE or BAD_FRAME.
   */
  push(chunk: Uint8Array): Envelope[] {
    const source = this.#used === 0 ? chunk : this.#append(chunk);
    const frames: Envelope[] = [];
    let at = 0;
    for (let header = this.#header(source, at); header; header = this.#header(source, at)) {
      const from = at + header.size;
      if (source.length - from < header.length) break;
      at = from + header.length;
      frames.push(Envelope.decode(source.subarray(from, at)));
    }
    this.#keep(source.subarray(at));
    return frames;
  }

  #header(source: Uint8Array, at: number): Header | undefined {
    let length = 0;
    for (let i = 0; i < MAX_LENGTH_VARINT_BYTES; i++) {
      const byte = source[at + i];
      if (byte === undefined) return undefined;
      length += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return this.#checked({ size: i + 1, length });
    }
    throw new ImClientError(DisconnectCode.BAD_FRAME, "frame length is over 4 bytes");
  }

  #checked(header: Header): Header {
    if (header.length === 0) throw new ImClientError(DisconnectCode.BAD_FRAME, "empty frame");
    if (header.length <= this.#maxFrameBytes) return header;
    const text = `frame of ${header.length} bytes is over the limit of ${this.#maxFrameBytes}`;
    throw new ImClientError(DisconnectCode.FRAME_TOO_LARGE, text);
  }

  /** Joins what is pending with the chunk; capacity doubles, so a frame that comes byte by byte costs O(n). */
  #append(chunk: Uint8Array): Uint8Array {
    const total = this.#used + chunk.length;
    if (total > this.#pending.length) {
      const grown = new Uint8Array(Math.max(total, this.#pending.length * 2));
      grown.set(this.#pending.subarray(0, this.#used));
      this.#pending = grown;
    }
    this.#pending.set(chunk, this.#used);
    this.#used = total;
    return this.#pending.subarray(0, total);
  }

  #keep(rest: Uint8Array): void {
    const isInPlace = this.#used > 0 && rest.length === this.#used;
    // A copy (slice() of a Node Buffer is none): the transport may use its buffer again.
    if (!isInPlace) this.#pending = new Uint8Array(rest);
    this.#used = rest.length;
  }
}
