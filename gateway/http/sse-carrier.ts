// SPDX-License-Identifier: Apache-2.0
import type { Buffer } from "node:buffer";
import type { ServerResponse } from "node:http";
import type { HeartbeatItem, Heartbeats } from "../session/heartbeat/heartbeats.ts";
import { closeText, type Ended, HttpCarrier } from "./http-carrier.ts";

/** A comment goes out after this silence, so that no proxy on the way takes the stream for dead. */
const KEEP_ALIVE_TICKS = 15;

/** A response that never ends: each write is one event, frames in base64. The last event, `close`, says why it ended. */
export class SseCarrier extends HttpCarrier implements HeartbeatItem {
  place = 0;
  readonly #response: ServerResponse;
  readonly #heartbeats: Heartbeats;
  #writtenTick: number;

  /** @param response its head is written */
  constructor(response: ServerResponse, remoteAddress: string, heartbeats: Heartbeats) {
    super(remoteAddress);
    this.#response = response;
    this.#heartbeats = heartbeats;
    this.#writtenTick = heartbeats.nowTick;
    response.on("drain", () => this.drained());
    response.on("close", () => this.gone());
    heartbeats.schedule(this);
  }

  get bufferedBytes(): number {
    return this.#response.writableLength;
  }

  write(bytes: Buffer): boolean {
    this.#writtenTick = this.#heartbeats.nowTick;
    return this.#response.write(`data: ${bytes.toString("base64")}\n\n`);
  }

  destroy(): void {
    this.#response.destroy();
  }

  protected onEnd(ended: Ended): void {
    this.#response.end(`event: close\ndata: ${closeText(ended)}\n\n`);
  }

  dueTick(): number {
    return this.#response.writableEnded || this.#response.destroyed
      ? Number.POSITIVE_INFINITY
      : this.#writtenTick + KEEP_ALIVE_TICKS;
  }

  onDue(nowTick: number): void {
    this.#writtenTick = nowTick;
    // Whoever does not read needs no more to read.
    if (!this.#response.writableNeedDrain) this.#response.write(":\n\n");
  }
}
