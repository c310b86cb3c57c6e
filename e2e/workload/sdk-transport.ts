// SPDX-License-Identifier: Apache-2.0
import { WebSocket } from "ws";
import type { FetchLike, Transport, WebSocketLike } from "../../client/src/node.ts";
import { OUR_SDK, type Sdk } from "./sdk.ts";

/** Where and how a client connects. */
export interface ClientTarget {
  /**
   * `tls://`, `tcp://`, `wss://.../ws`, `ws://.../ws`, or HTTP by one way only: `sse+https://`, `poll+https://`. Several: each dial takes the next one, as a
   * load balancer would.
   */
  url: string | readonly string[];
  /** PEM of the authority that signed the entries' certificates. */
  ca?: string;
  /** Name in the certificate when it is not the host of the URL. */
  servername?: string;
  /** The SDK that connects. Default: ours. */
  sdk?: Sdk;
}

const DIAL_TIMEOUT_MS = 10_000;

/** First URL of a target: what `ImClient` is told. */
export function firstUrl(target: ClientTarget): string {
  const url = typeof target.url === "string" ? target.url : target.url[0];
  if (url === undefined) throw new RangeError("a client needs at least one URL");
  return url;
}

/** A transport for every scheme, with certificate verification, that goes round the URLs of the target. */
export function targetTransport(target: ClientTarget): Transport {
  const urls = typeof target.url === "string" ? [target.url] : target.url;
  const { ca, servername, sdk = OUR_SDK } = target;
  const tls = { ...(ca === undefined ? {} : { ca }), ...(servername === undefined ? {} : { servername }) };
  const webSocket = (url: string): WebSocketLike =>
    new WebSocket(url, { ...tls, handshakeTimeout: DIAL_TIMEOUT_MS }) as unknown as WebSocketLike;
  const dial = strictTransport(sdk, sdk.tcpTransport(tls), sdk.wsTransport(webSocket), sdk.nodeFetch(tls));
  let dials = 0;
  return (_url, listener) => dial(urls[dials++ % urls.length] ?? "", listener);
}

const HTTP_URL = /^(sse|poll)\+(.*)/;

/** The transport that the scheme names and no other: a test must not pass by a fallback. */
function strictTransport({ httpTransport }: Sdk, tcp: Transport, ws: Transport, fetch: FetchLike): Transport {
  const http = { sse: httpTransport("sse", { fetch }), poll: httpTransport("poll", { fetch }) };
  return (url, listener) => {
    const [, mode, httpUrl] = HTTP_URL.exec(url) ?? [];
    if (httpUrl !== undefined && (mode === "sse" || mode === "poll")) return http[mode](httpUrl, listener);
    return (/^(tls|tcp):/.test(url) ? tcp : ws)(url, listener);
  };
}
