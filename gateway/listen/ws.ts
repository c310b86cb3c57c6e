// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { type RawData, type WebSocket, WebSocketServer } from "ws";
import { DisconnectCode } from "#lib/codes.ts";
import { MAX_FRAME_BYTES, MAX_LENGTH_VARINT_BYTES } from "#proto/commands.ts";
import { JsonWsCarrier, WsCarrier } from "../session/carrier.ts";
import type { Connection } from "../session/connection.ts";
import { readJsonFrame } from "../wire/json-frame.ts";
import type { Admission } from "./admission.ts";

export const WS_PATH = "/ws";
/** Binary messages of frames; a client that offers nothing gets the same. */
const SUBPROTOCOL = "im.v1";
/** Text messages, each a frame in JSON. */
const JSON_SUBPROTOCOL = "im.v1.json";
const MAX_FRAGMENTS = 16;
/** Reads of one message: 256 KiB in segments of 512 bytes. */
const MAX_CHUNKS = 512;

/** What ws says in place of a code when the connection ended without one. */
const NO_CLOSE_FRAME = 1006;

const CONNECTION = Symbol("connection");
type FramedWebSocket = WebSocket & { [CONNECTION]?: Connection };
type FramedSocket = Socket & { [CONNECTION]?: Connection };

/** The first that the client names and we know: its order is its wish. */
function chooseProtocol(offered: ReadonlySet<string>): string | false {
  for (const name of offered) if (name === SUBPROTOCOL || name === JSON_SUBPROTOCOL) return name;
  return false;
}

/** Upgrades HTTP requests to connections. Which form the messages have is chosen here, once. */
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
      handleProtocols: chooseProtocol,
    });
  }

  /** Answers the upgrade request; an invalid one gets 400, 405 or 426 by ws, and the end. */
  accept(request: IncomingMessage, socket: Socket, head: Buffer, acceptedTick: number): void {
    this.#server.handleUpgrade(request, socket, head, (ws) => {
      const isJson = ws.protocol === JSON_SUBPROTOCOL;
      const carrier = isJson ? new JsonWsCarrier(ws, socket) : new WsCarrier(ws, socket);
      const connection = this.#admission.open(carrier, acceptedTick);
      (ws as FramedWebSocket)[CONNECTION] = connection;
      (socket as FramedSocket)[CONNECTION] = connection;
      ws.on("message", isJson ? onJsonMessage : onMessage);
      ws.on("close", onClose);
      ws.on("error", onError);
      socket.on("drain", onDrain);
    });
  }
}

function onMessage(this: FramedWebSocket, data: RawData, isBinary: boolean): void {
  const connection = this[CONNECTION];
  if (!isBinary) connection?.close(DisconnectCode.BAD_FRAME, `text messages need the subprotocol ${JSON_SUBPROTOCOL}`);
  else if (Buffer.isBuffer(data)) connection?.onMessage(data);
}
function onJsonMessage(this: FramedWebSocket, data: RawData, isBinary: boolean): void {
  const connection = this[CONNECTION];
  // What comes behind the last one is not worth parsing.
  if (!connection || connection.state.kind === "closed" || !Buffer.isBuffer(data)) return;
  if (isBinary) {
    connection.close(DisconnectCode.BAD_FRAME, `binary messages need the subprotocol ${SUBPROTOCOL}`);
    return;
  }
  const frame = readJsonFrame(data);
  if (frame.kind === "frame") connection.onMessage(frame.bytes, data.length);
  else if (frame.kind === "refused") connection.onRefused(data.length, frame.rid, frame.code, frame.reason);
  else connection.close(frame.code, frame.reason);
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
