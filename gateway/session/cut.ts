// SPDX-License-Identifier: Apache-2.0
import type { Socket } from "node:net";

/** A TLS socket lies on another one; node has no public way to it. */
type LayeredSocket = Socket & { _parent?: unknown };

function isSocket(value: unknown): value is Pick<Socket, "resetAndDestroy"> {
  return typeof value === "object" && value !== null && "resetAndDestroy" in value;
}

/**
 * Ends a socket at once. When its client has not read what it was sent, by a reset: after an orderly end the kernel would
 * keep up to megabytes for as long as the client takes a byte now and then, and nobody here would know of it.
 */
export function cut(socket: Socket): void {
  if (socket.writableLength > 0 && !socket.destroyed) {
    const lowest = (socket as LayeredSocket)._parent ?? socket;
    if (isSocket(lowest)) lowest.resetAndDestroy();
  }
  socket.destroy();
}
