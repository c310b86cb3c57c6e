// SPDX-License-Identifier: Apache-2.0
import type { ConnectionOptions } from "node:tls";
import { WebSocket } from "ws";
import { waitFor } from "./wait.ts";

/** A frame of the JSON subprotocol. */
export interface JsonMessage {
  cmd: string | number;
  rid?: number;
  flags?: number;
  body?: Record<string, unknown>;
}

/** A thin client: a WebSocket, JSON.parse and JSON.stringify. */
export class JsonClient {
  readonly messages: JsonMessage[] = [];
  /** Messages that were not text. */
  binaries = 0;
  closeCode: number | undefined;
  closeReason = "";
  readonly ws: WebSocket;

  private constructor(ws: WebSocket) {
    this.ws = ws;
    ws.on("message", (data, isBinary) => {
      if (isBinary) this.binaries++;
      else this.messages.push(JSON.parse(String(data)) as JsonMessage);
    });
    ws.on("close", (code, reason) => {
      this.closeCode = code;
      this.closeReason = String(reason);
    });
    // "close" follows.
    ws.on("error", () => undefined);
  }

  /** @param protocols offered, in the order of the client's wish */
  static async open(url: string, protocols = ["im.v1.json"], options: ConnectionOptions = {}): Promise<JsonClient> {
    const ws = new WebSocket(url, protocols, { ...options, perMessageDeflate: false });
    const client = new JsonClient(ws);
    await waitFor("WebSocket", () => ws.readyState === WebSocket.OPEN || client.closeCode !== undefined);
    return client;
  }

  send(message: Omit<JsonMessage, "body"> & { body?: object | string }): void {
    this.ws.send(JSON.stringify(message));
  }

  /** As it is, right or wrong. */
  raw(data: string | Buffer, isBinary = false): void {
    this.ws.send(data, { binary: isBinary });
  }

  /** Logs in and waits for WELCOME. */
  async login(deviceId: string, token = "t"): Promise<JsonMessage> {
    this.send({ cmd: "HELLO", rid: 1, body: { protoMin: 1, protoMax: 1, deviceId, platform: "web", token } });
    return await this.wait("WELCOME");
  }

  ofCmd(cmd: string | number): JsonMessage[] {
    return this.messages.filter((message) => message.cmd === cmd);
  }

  /** The `count`-th message with this command, when it has come. */
  wait(cmd: string | number, count = 1): Promise<JsonMessage> {
    return waitFor(`${cmd} number ${count}`, () => this.ofCmd(cmd)[count - 1]);
  }

  /** The body of the answer to `rid`. */
  async answer(rid: number): Promise<Record<string, unknown>> {
    const message = await waitFor(`answer ${rid}`, () => this.messages.find((one) => one.rid === rid));
    return message.body ?? {};
  }

  async closed(): Promise<number> {
    await waitFor("close", () => this.closeCode !== undefined);
    return this.closeCode ?? 0;
  }

  close(): void {
    this.ws.terminate();
  }
}
