// SPDX-License-Identifier: Apache-2.0
import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { DisconnectCode } from "#lib/codes.ts";
import { MAX_FRAME_BYTES, MAX_LENGTH_VARINT_BYTES } from "#proto/commands.ts";
import { JsonWsCarrier, WsCarrier } from "../session/carrier.ts";
import type { Connection } from "../session/connection.ts";
import { readJsonFrame } from "../wire/json-frame.ts";
import { WsReader, type WsSink } from "../wire/ws-reader.ts";
import { WsOpcode } from "../wire/ws-writer.ts";
import type { Admission } from "./admission.ts";
import { JSON_SUBPROTOCOL, SUBPROTOCOL, type Upgrade } from "./ws-upgrade.ts";

export const WS_PATH = "/ws";

const CLIENT = Symbol("WebSocket client");
type FramedSocket = Socket & { [CLIENT]?: WsClient };

/**
 * Makes a socket whose upgrade is granted a connection. Which form the messages have was chosen with it, once.
 * @param head what was read of the socket behind the request
 */
export function acceptWebSocket(
  admission: Admission,
  socket: Socket,
  { answer, protocol }: Upgrade,
  head: Buffer,
  acceptedTick: number,
): void {
  // The client may have ended its side in the packet of its request.
  if (!socket.readable || !socket.writable) {
    socket.destroy();
    return;
  }
  socket.write(answer);
  const isJson = protocol === JSON_SUBPROTOCOL;
  const carrier = isJson ? new JsonWsCarrier(socket) : new WsCarrier(socket);
  const client = new WsClient(carrier, admission.open(carrier, acceptedTick), isJson);
  (socket as FramedSocket)[CLIENT] = client;
  socket.on("data", onData);
  socket.on("drain", onDrain);
  if (!(socket instanceof TLSSocket)) socket.on("end", onEnd);
  socket.on("close", onClose);
  socket.on("error", onError);
  if (head.length > 0) client.read(head);
}

/** What a client writes into its WebSocket, for its connection. */
class WsClient implements WsSink {
  readonly connection: Connection;
  readonly #reader: WsReader = new WsReader(MAX_FRAME_BYTES + MAX_LENGTH_VARINT_BYTES);
  readonly #carrier: WsCarrier;
  readonly #isJson: boolean;

  constructor(carrier: WsCarrier, connection: Connection, isJson: boolean) {
    this.#carrier = carrier;
    this.connection = connection;
    this.#isJson = isJson;
  }

  read(chunk: Buffer): void {
    lastPing = undefined;
    const fault = this.#reader.push(chunk, this);
    // Of many pings at once the last is answered, as RFC 6455 allows.
    if (lastPing) this.#carrier.pong(lastPing);
    lastPing = undefined;
    if (fault === undefined) return;
    this.connection.onLeaving("client_fault");
    this.#carrier.finish(fault);
  }

  onMessage(bytes: Buffer, isText: boolean): void {
    const { connection } = this;
    // What comes behind the last one is not worth parsing.
    if (connection.state.kind === "closed") return;
    if (isText !== this.#isJson) {
      const [form, protocol] = isText ? ["text", JSON_SUBPROTOCOL] : ["binary", SUBPROTOCOL];
      connection.close(DisconnectCode.BAD_FRAME, `${form} messages need the subprotocol ${protocol}`);
    } else if (isText) this.#onText(bytes);
    else connection.onMessage(bytes);
  }

  #onText(text: Buffer): void {
    const frame = readJsonFrame(text);
    if (frame.kind === "frame") this.connection.onMessage(frame.bytes, text.length);
    else if (frame.kind === "refused") this.connection.onRefused(text.length, frame.rid, frame.code, frame.reason);
    else this.connection.close(frame.code, frame.reason);
  }

  onControl(opcode: WsOpcode, payload: Buffer): void {
    this.connection.onIdleBytes(payload.length);
    if (opcode === WsOpcode.PING) lastPing = payload;
  }

  onClose(code: number): void {
    this.connection.onLeaving("client_gone");
    this.#carrier.finish(code);
  }
}

/** Of the chunk that is being read; one field less for each client. */
let lastPing: Buffer | undefined;

// Shared by all sockets: no closure per socket.
function onData(this: FramedSocket, chunk: Buffer): void {
  this[CLIENT]?.read(chunk);
}
function onDrain(this: FramedSocket): void {
  this[CLIENT]?.connection.onDrain();
}
/** The client is gone, and the kernel has all that it was sent: node would close in three steps. */
function onEnd(this: FramedSocket): void {
  if (this.writableLength === 0) this.destroy();
}
/** Without a close frame before it: cut off. */
function onClose(this: FramedSocket): void {
  this[CLIENT]?.connection.onGone("client_reset");
}
/** "close" follows and does the rest. */
function onError(this: FramedSocket): void {
  this.destroy();
}
