// SPDX-License-Identifier: Apache-2.0
// The SDK for Node: everything of index.ts, and raw TCP for tls:// and tcp:// URLs.
import { ImClient as BaseClient } from "./client.ts";
import type { ImClientOptions } from "./options.ts";
import { type TlsOptions, tcpTransport } from "./transport/tcp.ts";
import type { Transport } from "./transport/transport.ts";
import { type WebSocketFactory, wsTransport } from "./transport/ws.ts";

export { FileStore } from "./file-store.ts";
export * from "./index.ts";
export { type TlsOptions, tcpTransport } from "./transport/tcp.ts";

/** Options of the client in Node. */
export interface NodeClientOptions extends ImClientOptions {
  /** Trust of tls:// URLs. For wss:// inject `webSocket`, or set NODE_EXTRA_CA_CERTS. */
  tls?: TlsOptions;
}

/** Raw TCP for `tls://` and `tcp://`, WebSocket for `wss://` and `ws://`. */
export function nodeTransport(options: { tls?: TlsOptions; webSocket?: WebSocketFactory } = {}): Transport {
  const ws = wsTransport(options.webSocket);
  const tcp = tcpTransport(options.tls);
  return (url, listener) => (/^(tls|tcp):/.test(url) ? tcp(url, listener) : ws(url, listener));
}

/** The client of index.ts that also takes tls:// and tcp:// URLs. */
export class ImClient extends BaseClient {
  constructor(options: NodeClientOptions) {
    super({ ...options, transport: options.transport ?? nodeTransport(options) });
  }
}
