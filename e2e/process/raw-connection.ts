// SPDX-License-Identifier: Apache-2.0
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { Command } from "#proto/commands.ts";
import { ErrorInfo, Hello } from "#proto/gen/messages.ts";
import { FrameReader, frameOf } from "../../bench/wire.ts";
import { type Fleet, SERVER_NAME } from "../harness/fleet.ts";
import { waitUntil } from "../harness/processes.ts";

/** One frame that came back. */
export interface ReceivedFrame {
  cmd: number;
  rid: number;
  body: Buffer;
}

const WAIT_MS = 20_000;

/** A bare socket to an entry that writes whatever it is told. */
export class RawConnection {
  readonly frames: ReceivedFrame[] = [];
  readonly #socket: Socket;
  #isClosed = false;
  #text = "";

  private constructor(socket: Socket, hasFrames: boolean) {
    this.#socket = socket;
    const reader = new FrameReader({
      frame: (cmd, rid, body) => this.frames.push({ cmd, rid, body: Buffer.from(body) }),
    });
    socket.on("data", (chunk: Buffer) => {
      this.#text += chunk.toString("latin1");
      if (hasFrames) reader.push(chunk);
    });
    // A reset is one way of being closed.
    socket.on("error", () => undefined);
    socket.once("close", () => {
      this.#isClosed = true;
    });
  }

  /** Connects to the TLS port (ALPN `im/1` unless `alpn` says otherwise) or to the plain one. */
  static async open(fleet: Fleet, kind: "tls" | "plain", alpn: string[] = ["im/1"]): Promise<RawConnection> {
    const { tlsPort, plainPort } = fleet.entry(0);
    const host = "127.0.0.1";
    const socket =
      kind === "tls"
        ? connectTls({ port: tlsPort, host, ca: fleet.ca, servername: SERVER_NAME, ALPNProtocols: alpn })
        : connectTcp({ port: plainPort, host });
    const connection = new RawConnection(socket, alpn.includes("im/1"));
    await new Promise<void>((resolve, reject) => {
      socket.once(kind === "tls" ? "secureConnect" : "connect", () => resolve());
      socket.once("error", reject);
    });
    return connection;
  }

  /** What came, as text: for HTTP. */
  get text(): string {
    return this.#text;
  }

  write(bytes: Uint8Array | string): void {
    this.#socket.write(bytes);
  }

  /** Writes and ends our side. */
  end(bytes: Uint8Array): void {
    this.#socket.end(bytes);
  }

  send(cmd: number, rid: number, body: Uint8Array): void {
    this.write(frameOf(cmd, rid, body));
  }

  hello(token: string, rid = 1, device: Partial<Hello> = {}): void {
    const own = { deviceId: "raw", platform: "android", deviceName: "raw socket" };
    const hello = { protoMin: 1, protoMax: 1, ...own, ...device, token };
    this.send(Command.HELLO, rid, Hello.encode(hello));
  }

  /** The first frame of this command, awaited. @throws Error with what came instead */
  async frame(cmd: number, rid?: number): Promise<ReceivedFrame> {
    const find = (): ReceivedFrame | undefined =>
      this.frames.find((frame) => frame.cmd === cmd && (rid === undefined || frame.rid === rid));
    await waitUntil(`a frame of command ${cmd}`, () => find() !== undefined || this.#isClosed, WAIT_MS);
    const found = find();
    if (!found) throw new Error(`closed without a frame of command ${cmd}; came: ${this.frames.map((f) => f.cmd)}`);
    return found;
  }

  /** The first frame with this request id, awaited. @throws Error when the connection ends without one */
  async answer(rid: number): Promise<ReceivedFrame> {
    const find = (): ReceivedFrame | undefined => this.frames.find((frame) => frame.rid === rid);
    await waitUntil(`an answer to request ${rid}`, () => find() !== undefined || this.#isClosed, WAIT_MS);
    const found = find();
    if (!found) throw new Error(`closed without an answer to request ${rid}`);
    return found;
  }

  /** Resolves when anything was answered, or the connection ends. */
  async settled(): Promise<void> {
    await waitUntil("an answer, or the end", () => this.frames.length > 0 || this.#isClosed, WAIT_MS);
  }

  async error(rid?: number): Promise<ErrorInfo> {
    return ErrorInfo.decode((await this.frame(Command.ERROR, rid)).body);
  }

  async closed(): Promise<void> {
    await waitUntil("the entry closes the connection", () => this.#isClosed, WAIT_MS);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
