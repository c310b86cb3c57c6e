// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { showJsonFrames } from "../wire/json-frame.ts";
import { WsOpcode, wsCloseFrame, wsFrame } from "../wire/ws-writer.ts";
import { clientAddress } from "./client-address.ts";
import { cut } from "./cut.ts";
import type { OutboxPort } from "./outbox.ts";

/** How bytes reach one client. Inbound bytes and events come through the listeners that own the socket. */
export interface Carrier extends OutboxPort {
  readonly listener: "tcp" | "ws" | "http";
  readonly remoteAddress: string;
  /** Ends in order: what was written arrives, then FIN; on WebSocket with this close code. */
  end(code: number, reason: string): void;
  /** Ends at once. */
  destroy(): void;
}

/** Of a frame that many clients get: a broadcast is smaller. */
const MAX_SHARED_BYTES = 128 * 1024;

/** How a client left: in order, cut off, or by bytes that are no WebSocket. */
export type Gone = "client_gone" | "client_reset" | "client_fault";

/** A raw TCP or TLS socket that carries frames. */
export class TcpCarrier implements Carrier {
  readonly listener = "tcp";
  readonly remoteAddress: string;
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.remoteAddress = clientAddress(socket);
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  write(bytes: Buffer): boolean {
    return this.#socket.write(bytes);
  }

  end(): void {
    this.#socket.end();
    // What still comes is read and dropped: unread bytes would turn our FIN into a reset, and the client might
    // never see the frame that says why.
    this.#socket.resume();
  }

  destroy(): void {
    cut(this.#socket);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }
}

/** A WebSocket: each write is one binary message of one or more frames. */
export class WsCarrier implements Carrier {
  readonly listener = "ws";
  readonly remoteAddress: string;
  protected readonly socket: Socket;
  /** The close frame is written: nothing may follow it. */
  #isClosing = false;

  constructor(socket: Socket) {
    this.socket = socket;
    this.remoteAddress = clientAddress(socket);
  }

  get bufferedBytes(): number {
    return this.socket.writableLength;
  }

  write(bytes: Buffer): boolean {
    return this.socket.write(binaryForm.of(bytes));
  }

  /** Answers a ping; not while the client does not read: there would be no end to what waits for it. */
  pong(payload: Buffer): void {
    if (this.#isClosing || this.socket.writableNeedDrain || !this.socket.writable) return;
    this.socket.write(wsFrame(WsOpcode.PONG, payload));
  }

  /** The client answers with a close of its own; {@link finish} follows. */
  end(code: number, reason: string): void {
    if (!this.#isClosing && this.socket.writable) this.socket.write(wsCloseFrame(code, reason));
    this.#isClosing = true;
    // Its close must be read, and what comes before it dropped.
    this.socket.resume();
  }

  /** Ends it from the server's side, with this close code unless one was sent before. */
  finish(code: number): void {
    this.end(code, "");
    this.socket.end();
  }

  destroy(): void {
    cut(this.socket);
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }
}

/** A WebSocket of the JSON subprotocol: each frame is one text message. Its backlog counts as the text that it is. */
export class JsonWsCarrier extends WsCarrier {
  override write(bytes: Buffer): boolean {
    return this.socket.write(textForm.of(bytes));
  }
}

/**
 * What was written last, in the form of a carrier: a frame that goes to many clients, one after the other, takes it once. Bytes that
 * were given to a carrier are not changed any more.
 */
class LastForm {
  readonly #make: (bytes: Buffer) => Buffer;
  #bytes: Buffer | undefined;
  #form: Buffer = Buffer.alloc(0);

  constructor(make: (bytes: Buffer) => Buffer) {
    this.#make = make;
  }

  of(bytes: Buffer): Buffer {
    if (bytes === this.#bytes) return this.#form;
    this.#form = this.#make(bytes);
    // Only small ones go to many, and what is remembered is kept.
    this.#bytes = bytes.length <= MAX_SHARED_BYTES ? bytes : undefined;
    return this.#form;
  }
}

const binaryForm = new LastForm((bytes) => wsFrame(WsOpcode.BINARY, bytes));
/** One write for all messages. */
const textForm = new LastForm((bytes) => {
  const messages = showJsonFrames(bytes).map((text) => wsFrame(WsOpcode.TEXT, Buffer.from(text)));
  return messages.length === 1 ? (messages[0] as Buffer) : Buffer.concat(messages);
});
