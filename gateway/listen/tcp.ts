// SPDX-License-Identifier: Apache-2.0
import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { TcpCarrier } from "../session/carrier.ts";
import type { Connection } from "../session/connection.ts";
import type { Admission } from "./admission.ts";

const CONNECTION = Symbol("connection");
type FramedSocket = Socket & { [CONNECTION]?: Connection };

/**
 * Makes a socket that speaks frames a connection. Its handlers are shared by all sockets: no closure per socket.
 * @param first what was read of it before; then it is reading already
 */
export function acceptFrames(admission: Admission, socket: Socket, acceptedTick: number, first?: Buffer): void {
  const framed: FramedSocket = socket;
  const connection = admission.open(new TcpCarrier(socket), acceptedTick);
  framed[CONNECTION] = connection;
  socket.on("data", onData);
  socket.on("drain", onDrain);
  if (!(socket instanceof TLSSocket)) socket.on("end", onEnd);
  socket.on("close", onClose);
  socket.on("error", onError);
  if (first) connection.onBytes(first);
  else socket.resume();
}

function onData(this: FramedSocket, chunk: Buffer): void {
  this[CONNECTION]?.onBytes(chunk);
}
function onDrain(this: FramedSocket): void {
  this[CONNECTION]?.onDrain();
}
/** The client is gone, and the kernel has all that it was sent: node would close in three steps, which cost 20 µs more. */
function onEnd(this: FramedSocket): void {
  if (this.writableLength === 0) this.destroy();
}
function onClose(this: FramedSocket, hadError: boolean): void {
  this[CONNECTION]?.onGone(hadError ? "client_reset" : "client_gone");
}
/** A reset is an ordinary end: "close" follows and does the rest. */
function onError(this: FramedSocket): void {
  this.destroy();
}
