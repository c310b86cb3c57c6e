// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { connect as connectTcp, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { WebSocket } from "ws";
import { Command } from "#proto/commands.ts";
import { ErrorInfo, Hello, Push } from "#proto/gen/messages.ts";
import { EnvelopeReader, encodeFrame } from "../wire/envelope.ts";
import { FrameReader } from "../wire/frame.ts";
import { HttpLink } from "./http-link.ts";
import { waitFor } from "./wait.ts";

export interface ReceivedFrame {
  cmd: number;
  rid: number;
  flags: number;
  body: Buffer;
}

/** Writes bytes and reads frames, over TCP, TLS, WebSocket or HTTP: the least that can talk to an entry. */
export class FrameClient {
  readonly frames: ReceivedFrame[] = [];
  /** Bytes of each read (TCP) or message (WebSocket). */
  readonly chunks: number[] = [];
  isOpen = false;
  isClosed = false;
  closeCode: number | undefined;
  readonly socket: Socket | undefined;
  readonly ws: WebSocket | undefined;
  readonly http: HttpLink | undefined;
  readonly #reader = new FrameReader(16 * 1024 * 1024);
  readonly #envelope = new EnvelopeReader();

  private constructor(carrier: { socket?: Socket; ws?: WebSocket; http?: HttpLink }) {
    this.socket = carrier.socket;
    this.ws = carrier.ws;
    this.http = carrier.http;
  }

  /** The first bytes sent open the downlink at `downUrl`; the rest goes to `upUrl`. */
  static http(mode: "sse" | "poll", downUrl: string, upUrl: string = downUrl): FrameClient {
    const http = new HttpLink(mode, downUrl, upUrl);
    const client = new FrameClient({ http });
    client.isOpen = true;
    http.onBytes = (bytes) => client.#onBytes(bytes);
    http.onClose = (code) => {
      client.isClosed = true;
      client.closeCode = code;
    };
    return client;
  }

  static tcp(port: number): Promise<FrameClient> {
    return FrameClient.#ofSocket(connectTcp(port, "127.0.0.1"), "connect");
  }

  static tls(port: number, options: ConnectionOptions): Promise<FrameClient> {
    return FrameClient.#ofSocket(connectTls({ port, host: "127.0.0.1", ...options }), "secureConnect");
  }

  static async #ofSocket(socket: Socket, openEvent: string): Promise<FrameClient> {
    const client = new FrameClient({ socket });
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => client.#onBytes(chunk));
    socket.on(openEvent, () => {
      client.isOpen = true;
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      client.isClosed = true;
    });
    await waitFor("connection", () => client.isOpen || client.isClosed);
    return client;
  }

  static async websocket(url: string, options: ConnectionOptions = {}): Promise<FrameClient> {
    const ws = new WebSocket(url, { ...options, perMessageDeflate: false });
    const client = new FrameClient({ ws });
    ws.on("message", (data) => Buffer.isBuffer(data) && client.#onBytes(data));
    ws.on("open", () => {
      client.isOpen = true;
    });
    ws.on("error", () => undefined);
    ws.on("close", (code) => {
      client.isClosed = true;
      client.closeCode = code;
    });
    await waitFor("WebSocket", () => client.isOpen || client.isClosed);
    return client;
  }

  #onBytes(chunk: Buffer): void {
    this.chunks.push(chunk.length);
    this.#reader.push(chunk, {
      onFrame: (buffer, start, end) => {
        if (!this.#envelope.read(buffer, start, end)) throw new Error("the entry sent no envelope");
        const { cmd, rid, flags, body } = this.#envelope;
        this.frames.push({ cmd, rid, flags, body: Buffer.from(body) });
        return true;
      },
    });
  }

  /** Writes bytes as they are: one write, or one binary message. */
  raw(bytes: Buffer): void {
    if (this.ws) this.ws.send(bytes);
    else if (this.http) this.http.send(bytes);
    else this.socket?.write(bytes);
  }

  send(cmd: number, rid = 0, body: Uint8Array = new Uint8Array(0)): void {
    this.raw(encodeFrame(cmd, rid, 0, body));
  }

  hello(deviceId: string, rid = 1): void {
    this.send(Command.HELLO, rid, Hello.encode({ protoMin: 1, protoMax: 1, deviceId, platform: "web", token: "t" }));
  }

  /** Logs in and waits for WELCOME. */
  async login(deviceId: string): Promise<ReceivedFrame> {
    this.hello(deviceId);
    return this.wait(Command.WELCOME);
  }

  ofCmd(cmd: number): ReceivedFrame[] {
    return this.frames.filter((frame) => frame.cmd === cmd);
  }

  /** The `count`-th frame with this command, when it has come. */
  wait(cmd: number, count = 1): Promise<ReceivedFrame> {
    return waitFor(`frame ${cmd} number ${count}`, () => this.ofCmd(cmd)[count - 1]);
  }

  async waitError(count = 1): Promise<ErrorInfo & { rid: number }> {
    const frame = await this.wait(Command.ERROR, count);
    return { ...ErrorInfo.decode(frame.body), rid: frame.rid };
  }

  waitClosed(): Promise<true> {
    return waitFor("close", () => this.isClosed);
  }

  /** Inbox seqs of all PUSH frames, in order of arrival. */
  pushedSeqs(): number[] {
    return this.ofCmd(Command.PUSH).flatMap(({ body }) => Push.decode(body).events.map(({ inboxSeq }) => inboxSeq));
  }

  close(): void {
    this.socket?.destroy();
    this.ws?.terminate();
    this.http?.close();
  }
}
