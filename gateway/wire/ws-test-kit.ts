// SPDX-License-Identifier: Apache-2.0
import type { Buffer } from "node:buffer";
import { WsReader } from "./ws-reader.ts";
import { WsOpcode } from "./ws-writer.ts";

/** What a reader made of a stream: messages, pings and pongs and the close, in order, and the fault that ended it. */
export interface WsReading {
  events: string[];
  fault: number | undefined;
}

/** Feeds chunks through a {@link WsReader}, until it ends. The chunks are changed. */
export function readWebSocket(chunks: readonly Buffer[], maxMessageBytes: number): WsReading {
  const reader = new WsReader(maxMessageBytes);
  const events: string[] = [];
  const sink = {
    onMessage: (bytes: Buffer, isText: boolean) =>
      void events.push(`${isText ? "text" : "binary"} ${bytes.toString("hex")}`),
    onControl: (opcode: WsOpcode, payload: Buffer) =>
      void events.push(`${opcode === WsOpcode.PING ? "ping" : "pong"} ${payload.toString("hex")}`),
    onClose: (code: number) => void events.push(`close ${code}`),
  };
  let fault: number | undefined;
  for (const chunk of chunks) fault ??= reader.push(chunk, sink);
  return { events, fault };
}
