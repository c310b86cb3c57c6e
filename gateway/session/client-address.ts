// SPDX-License-Identifier: Apache-2.0
import type { Socket } from "node:net";

const ADDRESS = Symbol("client address");
type KnownSocket = Socket & { [ADDRESS]?: string };

/** Says whose socket this is, when the peer is a proxy. */
export function setClientAddress(socket: Socket, address: string): void {
  (socket as KnownSocket)[ADDRESS] = address;
}

/** The client's address: as its proxy told it, else the peer's. IPv4 as people write it, also on a socket of both families. */
export function clientAddress(socket: Socket): string {
  return (socket as KnownSocket)[ADDRESS] ?? peerAddress(socket);
}

/** The address at the other end of the socket. */
export function peerAddress(socket: Socket): string {
  const address = socket.remoteAddress ?? "";
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}
