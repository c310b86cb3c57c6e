// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { waitFor } from "./wait.ts";

/** A client that writes any bytes and keeps what comes back. */
export class RawSocket {
  readonly socket: Socket;
  isClosed = false;
  /** When it was closed, monotonic ms. */
  closedAtMs = 0;
  /** When bytes came last. */
  heardAtMs = 0;
  #received: Buffer[] = [];

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => {
      this.#received.push(chunk);
      this.heardAtMs = performance.now();
    });
    // A reset is one way of being closed.
    socket.on("error", () => undefined);
    socket.once("close", () => {
      this.isClosed = true;
      this.closedAtMs = performance.now();
    });
  }

  static open(port: number): RawSocket {
    return new RawSocket(connect(port, "127.0.0.1"));
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#received);
  }

  get text(): string {
    return this.bytes.toString("latin1");
  }

  write(bytes: Uint8Array | string): void {
    this.socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  waitClosed(): Promise<true> {
    return waitFor("close", () => this.isClosed);
  }

  /** Waits until what came holds `text`. */
  waitText(text: string): Promise<true> {
    return waitFor(`${JSON.stringify(text)} in ${JSON.stringify(this.text)}`, () => this.text.includes(text));
  }

  /** Waits until at least `length` bytes came. */
  waitBytes(length: number): Promise<true> {
    return waitFor(`${length} bytes`, () => this.bytes.length >= length);
  }

  destroy(): void {
    this.socket.destroy();
  }
}

const STATUS = /HTTP\/1\.1 (\d{3}) /g;

/** Writes a request and waits for the close; the status of every answer that came. */
export async function statusesOf(port: number, request: Uint8Array | string): Promise<number[]> {
  const client = RawSocket.open(port);
  try {
    client.write(request);
    await client.waitClosed();
    return [...client.text.matchAll(STATUS)].map((match) => Number(match[1]));
  } finally {
    client.destroy();
  }
}
