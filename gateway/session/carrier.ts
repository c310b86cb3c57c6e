// SPDX-License-Identifier: Apache-2.0
import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import type { WebSocket } from "ws";
import { showJsonFrames } from "../wire/json-frame.ts";
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
  readonly #ws: WebSocket;
  readonly #socket: Socket;

  constructor(ws: WebSocket, socket: Socket) {
    this.#ws = ws;
    this.#socket = socket;
    this.remoteAddress = clientAddress(socket);
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  write(bytes: Buffer): boolean {
    this.#ws.send(bytes);
    return !this.#socket.writableNeedDrain;
  }

  end(code: number, reason: string): void {
    this.#ws.close(code, reason.slice(0, MAX_CLOSE_REASON));
  }

  destroy(): void {
    cut(this.#socket);
    this.#ws.terminate();
  }

  pause(): void {
    this.#ws.pause();
  }

  resume(): void {
    this.#ws.resume();
  }
}

/** A WebSocket of the JSON subprotocol: each frame is one text message. Its backlog counts as the text that it is. */
export class JsonWsCarrier extends WsCarrier {
  readonly #ws: WebSocket;
  readonly #socket: Socket;

  constructor(ws: WebSocket, socket: Socket) {
    super(ws, socket);
    this.#ws = ws;
    this.#socket = socket;
  }

  override write(bytes: Buffer): boolean {
    // One write for all.
    this.#socket.cork();
    for (const text of showJsonFrames(bytes)) this.#ws.send(text);
    this.#socket.uncork();
    return !this.#socket.writableNeedDrain;
  }
}

/** A close frame holds 123 bytes of reason; ours are ASCII. */
const MAX_CLOSE_REASON = 120;
