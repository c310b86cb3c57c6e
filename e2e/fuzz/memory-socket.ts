// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";

const KEPT_BYTES = 16 * 1024;

/** As much of a net.Socket as the listeners use, without a kernel: `push` is what the client wrote. */
export class MemorySocket extends Duplex {
  remoteAddress = "192.0.2.1";
  remotePort = 40_000;
  bytesWritten = 0;
  #kept: Buffer[] = [];

  constructor() {
    super({ allowHalfOpen: false });
  }

  /** For the listeners, which take a net.Socket. */
  get asSocket(): Socket {
    return this as unknown as Socket;
  }

  /** The first 16 KiB that the entry wrote, as Latin-1. */
  get text(): string {
    return Buffer.concat(this.#kept).toString("latin1");
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    if (this.bytesWritten < KEPT_BYTES) this.#kept.push(Buffer.from(chunk));
    this.bytesWritten += chunk.length;
    done();
  }

  setNoDelay(): this {
    return this;
  }
  setTimeout(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }

  /** As net.Socket: ends, and is destroyed when all is written. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", this.destroy);
  }

  resetAndDestroy(): this {
    return this.destroy();
  }
}
