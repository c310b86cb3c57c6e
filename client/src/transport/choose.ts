// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "../clock.ts";
import { fallbackTransport } from "./fallback.ts";
import { type FetchLike, httpTransport } from "./http.ts";
import type { Transport } from "./transport.ts";
import { type WebSocketFactory, wsTransport } from "./ws.ts";

/** Options of {@link browserTransport}. */
export interface BrowserTransportOptions {
  /** Default: the global one. */
  webSocket?: WebSocketFactory;
  /** Default: the global one. */
  fetch?: FetchLike;
  /** For tests. */
  clock?: Clock;
}

const HTTP_URL = /^https?:/;

/** The default transport. What browsers have, best first: WebSocket (not for `https:` URLs), HTTP by events, HTTP by long poll. */
export function browserTransport(options: BrowserTransportOptions): Transport {
  const http = [httpTransport("sse", options), httpTransport("poll", options)];
  const all = fallbackTransport([wsTransport(options.webSocket), ...http], options.clock);
  const httpOnly = fallbackTransport(http, options.clock);
  return (url, listener) => (HTTP_URL.test(url) ? httpOnly(url, listener) : all(url, listener));
}
