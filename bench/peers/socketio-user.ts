// SPDX-License-Identifier: Apache-2.0
import { io, type Socket } from "socket.io-client";
import type { LoadClient, LoadListener, LoadTarget } from "../load-client.ts";
import type { SocketIoMessage } from "./socketio-insert.ts";

/** What LoadRun puts in front of a content, as hex: Socket.IO would send a Buffer as a frame of its own. */
const STAMP_BYTES = 12;
const STAMP_CHARS = 2 * STAMP_BYTES;
const LOGIN_TIMEOUT_MS = 60_000;
const RETRY_MS = 200;

/** One user on one Socket.IO connection, WebSocket from the start. */
export class SocketIoUser implements LoadClient {
  readonly id: string;
  readonly #listener: LoadListener;
  #socket: Socket | undefined;
  #sent = 0;
  #isClosing = false;

  constructor(id: string, listener: LoadListener) {
    this.id = id;
    this.#listener = listener;
  }

  login({ port }: LoadTarget): Promise<void> {
    const socket = io(`http://127.0.0.1:${port}`, {
      auth: { user: this.id },
      transports: ["websocket"],
      forceNew: true,
      reconnection: false,
      timeout: LOGIN_TIMEOUT_MS,
    });
    this.#socket = socket;
    socket.on("message", (content: string) => {
      this.#listener.delivered(Buffer.from(content.slice(0, STAMP_CHARS), "hex"));
    });
    socket.on("disconnect", (reason) => {
      if (!this.#isClosing) this.#listener.broken(this, reason);
    });
    return new Promise((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("connect_error", reject);
    });
  }

  /** Like emitWithAck, without its promise. */
  send(to: string, clientMessageId: string, content: Buffer): number {
    const rid = ++this.#sent;
    const stamp = content.toString("hex", 0, STAMP_BYTES);
    const text = stamp + content.toString("latin1", STAMP_BYTES).slice(STAMP_BYTES);
    const message: SocketIoMessage = { to, id: clientMessageId, content: text };
    this.#socket?.emit("send", message, (isStored: boolean) => {
      if (isStored) this.#listener.acked(this, rid);
      else this.#listener.refused(this, rid, RETRY_MS);
    });
    return rid;
  }

  close(): void {
    this.#isClosing = true;
    this.#socket?.disconnect();
  }
}
