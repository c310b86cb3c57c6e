// SPDX-License-Identifier: Apache-2.0

/** What a transport tells its connection. After `onClose`, or after `close()` was called, nothing more comes. */
export interface TransportListener {
  /** Connected; `send` may be called from now on. */
  onOpen(): void;
  /** Bytes of the frame stream, cut anywhere. */
  onData(bytes: Uint8Array): void;
  /** Exactly once, unless `close()` was called. `code` is a WebSocket close code; 1006 when the other side gave none. */
  onClose(code: number, reason: string): void;
}

/** One dialled socket. */
export interface Socket {
  /** Whole frames, in order; returns at once. The bytes are not changed afterwards. */
  send(bytes: Uint8Array): void;
  /** Ends the connection after what was sent; returns at once. */
  close(): void;
}

/**
 * Dials `url`. Faults of the network come through `onClose`; it throws only for a URL it cannot serve. One with a method `prefer` is told
 * the addresses (`host:port`, best first, often none) that a server names which asks the client to leave: they are for the next attempts.
 */
export type Transport = ((url: string, listener: TransportListener) => Socket) & {
  prefer?(addresses: readonly string[]): void;
};
