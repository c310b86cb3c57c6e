// SPDX-License-Identifier: Apache-2.0
import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { TcpCarrier } from "../session/carrier.ts";
import type { Connection } from "../session/connection.ts";
import type { Admission } from "./admission.ts";

const CONNECTION = Symbol("connection");
type FramedSocket = Socket & { [CONNECTION]?: Connection };

/** Makes a socket that speaks frames a connection. Its handlers are shared by all sockets: no closure per socket. */
export function acceptFrames(admission: Admission, socket: Socket, acceptedTick: number): void {
  const framed: FramedSocket = socket;
  framed[CONNECTION] = admission.open(new TcpCarrier(socket), acceptedTick);
  socket.on("data", onData);
  socket.on("drain", onDrain);
  socket.on("close", onClose);
  socket.on("error", onError);
  socket.resume();
}

function onData(this: FramedSocket, chunk: Buffer): void {
  this[CONNECTION]?.onBytes(chunk);
}
function onDrain(this: FramedSocket): void {
  this[CONNECTION]?.onDrain();
}
function onClose(this: FramedSocket, hadError: boolean): void {
  this[CONNECTION]?.onGone(hadError ? "client_reset" : "client_gone");
}
/** A reset is an ordinary end: "close" follows and does the rest. */
function onError(this: FramedSocket): void {
  this.destroy();
}
