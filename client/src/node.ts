// SPDX-License-Identifier: Apache-2.0
// The SDK for Node: everything of index.ts, and raw TCP for tls:// and tcp:// URLs.
import { ImClient as BaseClient } from "./client.ts";
import type { ImClientOptions } from "./options.ts";
import { type BrowserTransportOptions, browserTransport } from "./transport/choose.ts";
import { fallbackTransport } from "./transport/fallback.ts";
import { httpTransport } from "./transport/http.ts";
import { nodeFetch } from "./transport/node-fetch.ts";
import { type TlsOptions, tcpTransport } from "./transport/tcp.ts";
import type { Transport } from "./transport/transport.ts";

export { FileStore } from "./file-store.ts";
export * from "./index.ts";
export { nodeFetch } from "./transport/node-fetch.ts";
export { type TlsOptions, tcpTransport } from "./transport/tcp.ts";

/** Options of the client in Node. */
export interface NodeClientOptions extends ImClientOptions {
  /** Trust of tls:// and https:// URLs. For wss:// inject `webSocket`, or set NODE_EXTRA_CA_CERTS. */
  tls?: TlsOptions;
}

/** Raw TCP for `tls://` and `tcp://`, and HTTP on the same port where that does not get through; else what browsers have. */
export function nodeTransport(options: BrowserTransportOptions & { tls?: TlsOptions } = {}): Transport {
  const { tls, clock } = options;
  const fetch = options.fetch ?? (tls && nodeFetch(tls));
  const http = fetch ? { fetch } : {};
  const tcp = fallbackTransport([tcpTransport(tls), httpTransport("sse", http), httpTransport("poll", http)], clock);
  const web = browserTransport({ ...options, ...http });
  return (url, listener) => (/^(tls|tcp):/.test(url) ? tcp(url, listener) : web(url, listener));
}

/** The client of `@imcluster/client`, which here takes `tls://` and `tcp://` URLs too. */
export class ImClient extends BaseClient {
  /**
   * Connects to nothing yet.
   * @throws ImClientError BAD_REQUEST for options that cannot work
   */
  constructor(options: NodeClientOptions) {
    super({ ...options, transport: options.transport ?? nodeTransport(options) });
  }
}
