// SPDX-License-Identifier: Apache-2.0
import type { InternalTls } from "./internal-tls.ts";

/** One end of an uplink: whole batches of records, as bytes. */
export interface UplinkStream {
  /** Always takes the batch; false = wait for the drain before the next one. No effect once closed. */
  write(batch: Buffer): boolean;
  /** `fn` runs each time writing may go on after a false. */
  onDrain(fn: () => void): void;
  /** Ends the stream; the close callback still runs. */
  close(): void;
}

/** Options of {@link openUplink}. */
export interface UplinkOptions {
  /** host:port of one logic pod. */
  address: string;
  tls?: InternalTls | undefined;
  /** A throw ends the stream with that error. */
  onBatch(batch: Buffer): void;
  /** Exactly once; without an error when the other side ended in order. */
  onClose(error?: Error): void;
  /** The connection stands (not yet: the peer attached). */
  onConnected?(): void;
  /** Default 5000. */
  connectTimeoutMs?: number;
}

/** The server's end of an uplink. Set the callbacks in `onAttach`, before it returns. */
export interface ServerUplink extends UplinkStream {
  /** Address of the caller, for logs. */
  readonly peer: string;
  /** A throw in `fn` ends the stream. */
  onBatch(fn: (batch: Buffer) => void): void;
  /** Exactly once. */
  onClose(fn: (error?: Error) => void): void;
}
