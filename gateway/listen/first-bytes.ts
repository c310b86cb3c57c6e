// SPDX-License-Identifier: Apache-2.0
import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import type { Clock } from "#lib/clock.ts";

/** Told once about a socket: it has bytes, which wait in it; or it ended, broke or was silent for too long without any. */
export interface FirstBytesTarget {
  onBytes(socket: Socket): void;
  onNothing(socket: Socket): void;
}

/** Less than node's first buffer for TLS, 1,024 bytes: a full one would get a second one of 16 KiB. */
const PIECE_BYTES = 1000;

/**
 * Waits for the first bytes of a socket that just came and puts them back, in pieces.
 *
 * This is what keeps a TLS connection small. Into a TLS socket that has not read anything node reads with a buffer of 64 KiB, which it
 * keeps for as long as the connection lives. When the first bytes are there already, it takes them out piece by piece, and its
 * buffer is 1 KiB, until a client sends more than that at a time; then there is one of 16 KiB.
 */
export function awaitFirstBytes(socket: Socket, clock: Clock, timeoutMs: number, target: FirstBytesTarget): void {
  const release = (): void => {
    cancel();
    socket.off("data", onData);
    for (const event of ENDS) socket.off(event, onNothing);
  };
  const onNothing = (): void => {
    release();
    target.onNothing(socket);
  };
  const onData = (chunk: Buffer): void => {
    release();
    putBack(socket, chunk);
    target.onBytes(socket);
  };
  const cancel = clock.after(timeoutMs, onNothing);
  socket.on("data", onData);
  for (const event of ENDS) socket.on(event, onNothing);
}

const ENDS = ["end", "close", "error"] as const;

/**
 * Whoever reads the socket in the next turn of the tick queue, as a TLS socket on it does, gets one piece at a time: of a socket that flows
 * `read` gives one, of a paused one it joins all. Until then it is paused, or nobody would get them.
 */
function putBack(socket: Socket, chunk: Buffer): void {
  socket.pause();
  for (let end = chunk.length; end > 0; ) {
    const start = Math.floor((end - 1) / PIECE_BYTES) * PIECE_BYTES;
    socket.unshift(chunk.subarray(start, end));
    end = start;
  }
  process.nextTick(resume, socket);
}

function resume(socket: Socket): void {
  socket.resume();
}
