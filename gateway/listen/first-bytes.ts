// SPDX-License-Identifier: Apache-2.0
import type { Socket } from "node:net";
import type { Clock } from "#lib/clock.ts";

/** Told once about a socket: it has bytes, which wait in it; or it ended, broke or was silent for too long without any. */
export interface FirstBytesTarget {
  onBytes(socket: Socket): void;
  onNothing(socket: Socket): void;
}

/**
 * Waits for the first bytes of a socket that just came and leaves them in it.
 *
 * This is what keeps a TLS connection small. Into a TLS socket that has not read anything node reads with a buffer of 64 KiB, which it
 * keeps for as long as the connection lives. With the client's hello already there, the first buffer is as large as the hello, and
 * grows to 16 KiB when a client sends more than that at a time.
 */
export function awaitFirstBytes(socket: Socket, clock: Clock, timeoutMs: number, target: FirstBytesTarget): void {
  const finish = (isThere: boolean): void => {
    cancel();
    socket.off("readable", onReadable);
    socket.off("close", onNothing);
    socket.off("error", onNothing);
    if (isThere) target.onBytes(socket);
    else target.onNothing(socket);
  };
  const onNothing = (): void => finish(false);
  // Also at its end, when nothing came before it.
  const onReadable = (): void => finish(socket.readableLength > 0);
  const cancel = clock.after(timeoutMs, onNothing);
  socket.on("readable", onReadable);
  socket.on("close", onNothing);
  socket.on("error", onNothing);
}
