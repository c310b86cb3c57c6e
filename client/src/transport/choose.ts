// SPDX-License-Identifier: Apache-2.0
import type { Clock } from "../clock.ts";
import { fallbackTransport } from "./fallback.ts";
import { type FetchLike, httpTransport } from "./http.ts";
import type { Transport } from "./transport.ts";
import { type WebSocketFactory, wsTransport } from "./ws.ts";

/** Options of {@link webTransport}. */
export interface WebTransportOptions {
  webSocket?: WebSocketFactory;
  fetch?: FetchLike;
  clock?: Clock;
}

const HTTP_URL = /^https?:/;

/** What browsers have, best first: WebSocket (not for `https:` URLs), HTTP by events, HTTP by long poll. */
export function webTransport(options: WebTransportOptions): Transport {
  const http = [httpTransport("sse", options), httpTransport("poll", options)];
  const all = fallbackTransport([wsTransport(options.webSocket), ...http], options.clock);
  const httpOnly = fallbackTransport(http, options.clock);
  return (url, listener) => (HTTP_URL.test(url) ? httpOnly(url, listener) : all(url, listener));
}
