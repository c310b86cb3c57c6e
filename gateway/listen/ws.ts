// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { type RawData, type WebSocket, WebSocketServer } from "ws";
import { DisconnectCode } from "#lib/codes.ts";
import { MAX_FRAME_BYTES, MAX_LENGTH_VARINT_BYTES } from "#proto/commands.ts";
import { WsCarrier } from "../session/carrier.ts";
import type { Connection } from "../session/connection.ts";
import type { Admission } from "./admission.ts";

export const WS_PATH = "/ws";
/** Chosen when the client offers it; a client that offers nothing gets the same. */
const SUBPROTOCOL = "im.v1";
const MAX_FRAGMENTS = 16;
/** Reads of one message: 256 KiB in segments of 512 bytes. */
const MAX_CHUNKS = 512;

/** What ws says in place of a code when the connection ended without one. */
const NO_CLOSE_FRAME = 1006;

const CONNECTION = Symbol("connection");
type FramedWebSocket = WebSocket & { [CONNECTION]?: Connection };
type FramedSocket = Socket & { [CONNECTION]?: Connection };

/** Upgrades HTTP requests to connections. Each binary message holds one or more whole frames. */
export class WsAcceptor {
  readonly #admission: Admission;
  readonly #server: WebSocketServer;

  constructor(admission: Admission) {
    this.#admission = admission;
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: MAX_FRAME_BYTES + MAX_LENGTH_VARINT_BYTES,
      maxFragments: MAX_FRAGMENTS,
      maxBufferedChunks: MAX_CHUNKS,
      handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
    });
  }

  /** Answers the upgrade request; an invalid one gets 400, 405 or 426 by ws, and the end. */
  accept(request: IncomingMessage, socket: Socket, head: Buffer, acceptedTick: number): void {
    this.#server.handleUpgrade(request, socket, head, (ws) => {
      const connection = this.#admission.open(new WsCarrier(ws, socket), acceptedTick);
      (ws as FramedWebSocket)[CONNECTION] = connection;
      (socket as FramedSocket)[CONNECTION] = connection;
      ws.on("message", onMessage);
      ws.on("close", onClose);
      ws.on("error", onError);
      socket.on("drain", onDrain);
    });
  }
}

function onMessage(this: FramedWebSocket, data: RawData, isBinary: boolean): void {
  const connection = this[CONNECTION];
  if (!isBinary) connection?.close(DisconnectCode.BAD_FRAME, "text messages are not part of the protocol");
  else if (Buffer.isBuffer(data)) connection?.onMessage(data);
}
function onClose(this: FramedWebSocket, code: number): void {
  this[CONNECTION]?.onGone(code === NO_CLOSE_FRAME ? "client_reset" : "client_gone");
}
/** Bytes that are no WebSocket, or over its limits: ws has sent the close code by itself, and "close" follows. */
function onError(this: FramedWebSocket): void {
  this[CONNECTION]?.onGone("client_fault");
}
function onDrain(this: FramedSocket): void {
  this[CONNECTION]?.onDrain();
}
