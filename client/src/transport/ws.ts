// SPDX-License-Identifier: Apache-2.0
import { ClientCode, DisconnectCode } from "../codes.ts";
import { ImClientError } from "../errors.ts";
import type { Socket, Transport, TransportListener } from "./transport.ts";

/** The part of the WebSocket interface that is used; browsers, Node and the `ws` package have it. */
export interface WebSocketLike {
  /** Set to `arraybuffer`. */
  binaryType: string;
  /** One binary message. */
  send(data: Uint8Array<ArrayBuffer>): void;
  /** Begins the closing handshake. */
  close(code?: number, reason?: string): void;
  /** Connected. */
  onopen: ((event: never) => void) | null;
  /** A message: `data` of the event is an ArrayBuffer. */
  onmessage: ((event: never) => void) | null;
  /** A failure; `onclose` follows. */
  onerror: ((event: never) => void) | null;
  /** The end, by `code` and `reason` of the event. */
  onclose: ((event: never) => void) | null;
}

/** Opens a WebSocket; inject one to use `ws` with its own certificate authority. */
export type WebSocketFactory = (url: string, protocols: string[]) => WebSocketLike;

const CONNECTING_URL = /^wss?:\/\//;

function globalWebSocket(url: string): WebSocketLike {
  // An empty protocol list would be an offer that the entry does not answer, which browsers treat as a failure.
  return new globalThis.WebSocket(url) as unknown as WebSocketLike;
}

/** WebSocket transport: each binary message holds one or more length-prefixed frames. */
export function wsTransport(create: WebSocketFactory = globalWebSocket): Transport {
  return (url, listener) => {
    if (!CONNECTING_URL.test(url)) {
      const text = `${url}: tls:// needs the entry point for Node`;
      throw new ImClientError(DisconnectCode.PROTOCOL_ERROR, text);
    }
    return attach(create(url, []), listener);
  };
}

function attach(ws: WebSocketLike, listener: TransportListener): Socket {
  let problem = "";
  const detach = (): void => {
    ws.onopen = null;
    ws.onmessage = null;
    ws.onclose = null;
    // Not null: an `ws` socket whose error nobody hears would end the process.
    ws.onerror = () => {};
  };
  const close = (): void => {
    detach();
    ws.close(ClientCode.CLOSED);
  };
  ws.binaryType = "arraybuffer";
  ws.onopen = () => listener.onOpen();
  ws.onmessage = (event: { data: unknown }) => {
    if (event.data instanceof ArrayBuffer) {
      listener.onData(new Uint8Array(event.data));
      return;
    }
    close();
    listener.onClose(ClientCode.CONNECTION_LOST, "text message");
  };
  ws.onerror = (event: { message?: unknown }) => {
    problem = typeof event.message === "string" ? event.message : "WebSocket failed";
  };
  ws.onclose = (event: { code: number; reason: string }) => {
    detach();
    const code = event.code === 0 || event.code === undefined ? ClientCode.CONNECTION_LOST : event.code;
    listener.onClose(code, event.reason || problem);
  };
  return { send: (bytes) => ws.send(bytes as Uint8Array<ArrayBuffer>), close };
}
