// SPDX-License-Identifier: Apache-2.0
import type { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const CLOSE_TIMEOUT_MS = 20_000;
/** How long a client that neither ends nor resets waits for the entry to do so. */
const LINGER_MS = 20;
/** How long one that reads waits for the first byte of an answer: there may never be one. */
const READ_TIMEOUT_MS = 1000;
const KEPT_CHARS = 16 * 1024;

/** How a client ends: in order, or when it has read something; by a reset; when the entry had a little time to end it. */
const MANNERS = ["end", "read", "reset", "linger"] as const;
export type Manner = (typeof MANNERS)[number];

/** Of the case with this number. */
export function mannerOf(index: number): Manner {
  return MANNERS[index % MANNERS.length] ?? "end";
}

/** A client over a real socket that writes bytes, right or wrong. */
export interface Shot {
  port: number;
  /** Where the client connects from. */
  from: string;
  chunks: readonly Buffer[];
  manner: Manner;
  /** Milliseconds between two chunks. */
  pauseMs: number;
  /** A client that reads waits after so many chunks until this is true of what came back: the login takes a while. */
  login?: { chunks: number; isDone(text: string): boolean };
}

/** Connects, writes, ends in its manner. `isStuck`: the entry left the connection open; `text`: what came back, Latin-1. */
export async function shoot(shot: Shot): Promise<{ isStuck: boolean; text: string }> {
  const { port, from, chunks, manner, pauseMs, login } = shot;
  const client = new RawClient(port, from);
  for (const [index, chunk] of chunks.entries()) {
    if (index > 0 && pauseMs > 0) await sleep(pauseMs);
    client.socket.write(chunk);
    if (manner === "read" && login?.chunks === index + 1) {
      await client.find((text) => login.isDone(text) || undefined, READ_TIMEOUT_MS);
    }
  }
  await client.written();
  if (manner === "read") await client.find((text) => text || undefined, READ_TIMEOUT_MS);
  if (manner === "reset") client.socket.resetAndDestroy();
  else if (manner === "linger") await Promise.race([client.closed, sleep(LINGER_MS)]);
  else client.socket.end();
  if (manner === "linger") client.socket.destroy();
  const isClosed = await client.isClosedWithin(CLOSE_TIMEOUT_MS);
  client.socket.destroy();
  return { isStuck: !isClosed, text: client.text };
}

/** A socket and what came back. */
export class RawClient {
  readonly socket: Socket;
  readonly closed: Promise<true>;
  /** Latin-1, the first 16 KiB. */
  text = "";
  #onText: (() => void) | undefined;

  constructor(port: number, localAddress = "127.0.0.1") {
    this.socket = connect({ port, host: "127.0.0.1", localAddress, noDelay: true });
    this.socket.on("data", (chunk: Buffer) => {
      if (this.text.length < KEPT_CHARS) this.text += chunk.toString("latin1");
      this.#onText?.();
    });
    this.closed = new Promise((resolve) => {
      this.socket.once("close", () => resolve(true));
      // A reset is one way of being refused. One of our own that fails is an error without a close.
      this.socket.on("error", () => resolve(true));
    });
  }

  /** Everything is written, or nothing will be any more. */
  written(): Promise<void> {
    return new Promise((resolve) => {
      if (this.socket.destroyed) resolve();
      this.socket.once("close", () => resolve());
      this.socket.write("", () => resolve());
    });
  }

  /** False: still open after `timeoutMs`. */
  async isClosedWithin(timeoutMs: number): Promise<boolean> {
    const timer = new AbortController();
    const isClosed = await Promise.race([this.closed, sleep(timeoutMs, false, timer)]).catch(() => true);
    timer.abort();
    return isClosed;
  }

  /** Something in what came back; undefined when the socket closed, or `timeoutMs` passed, without it. */
  async find<T>(look: (text: string) => T | undefined, timeoutMs: number): Promise<T | undefined> {
    const timer = new AbortController();
    const found = new Promise<T>((resolve) => {
      this.#onText = () => {
        const value = look(this.text);
        if (value !== undefined) resolve(value);
      };
      this.#onText();
    });
    const never = sleep(timeoutMs, undefined, timer).catch(() => undefined);
    const value = await Promise.race([found, never, this.closed.then(() => look(this.text))]);
    timer.abort();
    return value;
  }
}
