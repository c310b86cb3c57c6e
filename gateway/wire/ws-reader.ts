// SPDX-License-Identifier: Apache-2.0
import { Buffer, isUtf8 } from "node:buffer";
import { NO_CLOSE_CODE, WsOpcode } from "./ws-writer.ts";

/** Receives what a client says in a WebSocket. Bytes are good only during the call. */
export interface WsSink {
  onMessage(bytes: Buffer, isText: boolean): void;
  /** A ping or a pong. */
  onControl(opcode: WsOpcode, payload: Buffer): void;
  /** The client ends it; nothing more is read. @param code {@link NO_CLOSE_CODE} when it names none */
  onClose(code: number): void;
}

/** The close code for bytes that are no WebSocket or over its limits: nothing more is read. Undefined: go on. */
export type WsFault = number | undefined;

const PROTOCOL_ERROR = 1002;
const BAD_UTF8 = 1007;
const TOO_MANY_PARTS = 1008;
const TOO_BIG = 1009;

const MAX_CONTROL_BYTES = 125;
const MASK_BYTES = 4;
const FIRST_BYTES = 2;
const INITIAL_PARTIAL_BYTES = 256;
const MAX_PARTS = 16;

/** A message in fragments, as far as it has come. */
interface Assembly {
  readonly opcode: number;
  parts: number;
  bytes: Buffer;
}

/**
 * Reads the frames of a client (RFC 6455, no extensions) out of a byte stream that is cut anywhere. Of a frame that is not whole yet
 * it keeps a copy, which grows with what came and not with what was announced; while nothing is under way it keeps nothing.
 * Masks are taken off in place: chunks are changed.
 */
export class WsReader {
  readonly #maxMessageBytes: number;
  #partial: Buffer | undefined;
  #filled = 0;
  /** Bytes that `#partial` must have before more of the frame can be told. */
  #needed = 0;
  #assembly: Assembly | undefined;
  #isEnded = false;

  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** Nothing more is read: the client closed, or broke the rules. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Feeds one chunk. */
  push(chunk: Buffer, sink: WsSink): WsFault {
    let at = 0;
    while (at < chunk.length && !this.#isEnded) {
      let fault: number;
      if (this.#partial === undefined) {
        const needed = this.#measure(chunk, at, chunk.length);
        if (at + needed > chunk.length) {
          this.#needed = needed;
          this.#append(chunk, at, chunk.length);
          return undefined;
        }
        fault = needed < 0 ? -needed : this.#take(chunk, at, at + needed, sink);
        at += needed;
      } else {
        const to = Math.min(chunk.length, at + this.#needed - this.#filled);
        this.#append(chunk, at, to);
        at = to;
        if (this.#filled < this.#needed) return undefined;
        fault = this.#continue(sink);
      }
      if (fault > 0) return this.#end(fault);
    }
    return undefined;
  }

  #end(fault: number): WsFault {
    this.#isEnded = true;
    this.#release();
    this.#assembly = undefined;
    return fault;
  }

  /** The partial frame has what it needed: to know its length, or to be whole. Returns a fault, or 0. */
  #continue(sink: WsSink): number {
    const partial = this.#partial as Buffer;
    const filled = this.#filled;
    const needed = this.#measure(partial, 0, filled);
    if (needed < 0) return -needed;
    this.#needed = needed;
    if (needed > filled) return 0;
    this.#release();
    return this.#take(partial, 0, filled, sink);
  }

  #release(): void {
    this.#partial = undefined;
    this.#filled = 0;
  }

  #append(chunk: Buffer, from: number, to: number): void {
    const wanted = this.#filled + to - from;
    let partial = this.#partial;
    if (!partial || partial.length < wanted) {
      const size = Math.max(wanted, partial ? Math.min(this.#needed, partial.length * 2) : INITIAL_PARTIAL_BYTES);
      // Not from the shared pool: a slow frame must not pin 8 KiB of other people's memory.
      const grown = Buffer.allocUnsafeSlow(size);
      partial?.copy(grown, 0, 0, this.#filled);
      partial = grown;
      this.#partial = grown;
    }
    chunk.copy(partial, this.#filled, from, to);
    this.#filled = wanted;
  }

  /** Bytes that the frame at `at` must have before more can be told; all of it, once its length is there. Less than 0: a fault. */
  #measure(buffer: Buffer, at: number, end: number): number {
    if (end - at < FIRST_BYTES) return FIRST_BYTES;
    const [first, second] = [buffer[at] as number, buffer[at + 1] as number];
    const short = second & 0x7f;
    if (!this.#isAllowed(first, second, short)) return -PROTOCOL_ERROR;
    const head = headBytes(short);
    if (end - at < head) return head;
    let length = short;
    if (head === 4) length = buffer.readUInt16BE(at + 2);
    else if (head === 10) length = buffer.readUInt32BE(at + 2) * 2 ** 32 + buffer.readUInt32BE(at + 6);
    const before = (first & 0x0f) < 8 ? (this.#assembly?.bytes.length ?? 0) : 0;
    return before + length > this.#maxMessageBytes ? -TOO_BIG : head + MASK_BYTES + length;
  }

  /** May a frame with these two first bytes come now? */
  #isAllowed(first: number, second: number, short: number): boolean {
    const opcode = first & 0x0f;
    const isFinal = first >= 0x80;
    // Reserved bits, or no mask.
    if ((first & 0x70) !== 0 || second < 0x80) return false;
    switch (opcode) {
      case WsOpcode.CONTINUATION:
        return this.#assembly !== undefined;
      case WsOpcode.TEXT:
      case WsOpcode.BINARY:
        return this.#assembly === undefined;
      case WsOpcode.CLOSE:
        return isFinal && short <= MAX_CONTROL_BYTES && short !== 1;
      case WsOpcode.PING:
      case WsOpcode.PONG:
        return isFinal && short <= MAX_CONTROL_BYTES;
      default:
        return false;
    }
  }

  /** Takes a whole frame. Returns a fault, or 0. */
  #take(buffer: Buffer, start: number, end: number, sink: WsSink): number {
    const first = buffer[start] as number;
    const opcode = first & 0x0f;
    const short = (buffer[start + 1] as number) & 0x7f;
    const mask = start + headBytes(short);
    const payload = buffer.subarray(mask + MASK_BYTES, end);
    unmask(buffer, mask, end);
    if (opcode === WsOpcode.CLOSE) return this.#close(payload, sink);
    if (opcode === WsOpcode.PING || opcode === WsOpcode.PONG) {
      sink.onControl(opcode, payload);
      return 0;
    }
    const isFinal = first >= 0x80;
    const assembly = this.#assembly;
    if (isFinal && assembly === undefined) return deliver(payload, opcode, sink);
    return this.#assemble(assembly ?? { opcode, parts: 0, bytes: EMPTY }, payload, isFinal, sink);
  }

  #assemble(assembly: Assembly, payload: Buffer, isFinal: boolean, sink: WsSink): number {
    if (++assembly.parts > MAX_PARTS) return TOO_MANY_PARTS;
    if (payload.length > 0) assembly.bytes = joined(assembly.bytes, payload);
    this.#assembly = isFinal ? undefined : assembly;
    return isFinal ? deliver(assembly.bytes, assembly.opcode, sink) : 0;
  }

  #close(payload: Buffer, sink: WsSink): number {
    const code = payload.length === 0 ? NO_CLOSE_CODE : payload.readUInt16BE(0);
    if (payload.length > 0 && !isCloseCode(code)) return PROTOCOL_ERROR;
    if (!isUtf8(payload.subarray(2))) return BAD_UTF8;
    this.#end(0);
    sink.onClose(code);
    return 0;
  }
}

const EMPTY = Buffer.alloc(0);

/** Of a frame, without its mask, by the seven bits of its length. */
function headBytes(short: number): number {
  if (short < 126) return 2;
  return short === 126 ? 4 : 10;
}

/** A copy: a chunk is not ours to keep, and the shared pool's 8 KiB not this client's to pin. Parts are few. */
function joined(before: Buffer, part: Buffer): Buffer {
  const bytes = Buffer.allocUnsafeSlow(before.length + part.length);
  before.copy(bytes, 0);
  part.copy(bytes, before.length);
  return bytes;
}

function deliver(bytes: Buffer, opcode: number, sink: WsSink): number {
  const isText = opcode === WsOpcode.TEXT;
  if (isText && !isUtf8(bytes)) return BAD_UTF8;
  sink.onMessage(bytes, isText);
  return 0;
}

/** May stand in a close frame. */
function isCloseCode(code: number): boolean {
  if (code >= 3000) return code <= 4999;
  return code >= 1000 && code <= 1014 && code !== 1004 && code !== NO_CLOSE_CODE && code !== 1006;
}

/** Takes the mask at `mask` off what follows it. */
function unmask(buffer: Buffer, mask: number, end: number): void {
  const [a, b, c, d] = [buffer[mask], buffer[mask + 1], buffer[mask + 2], buffer[mask + 3]] as [
    number,
    number,
    number,
    number,
  ];
  let at = mask + MASK_BYTES;
  for (; at + 3 < end; at += 4) {
    buffer[at] = (buffer[at] as number) ^ a;
    buffer[at + 1] = (buffer[at + 1] as number) ^ b;
    buffer[at + 2] = (buffer[at + 2] as number) ^ c;
    buffer[at + 3] = (buffer[at + 3] as number) ^ d;
  }
  if (at < end) buffer[at] = (buffer[at] as number) ^ a;
  if (at + 1 < end) buffer[at + 1] = (buffer[at + 1] as number) ^ b;
  if (at + 2 < end) buffer[at + 2] = (buffer[at + 2] as number) ^ c;
}
