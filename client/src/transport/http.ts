// SPDX-License-Identifier: Apache-2.0
// The frame stream over HTTP: downlink by Server-Sent Events or long poll, uplink by one POST at a time.
import { ClientCode, DisconnectCode } from "../codes.ts";
import { ImClientError, messageOf } from "../errors.ts";
import { concat, EMPTY } from "../wire.ts";
import { eventSplitter } from "./event-splitter.ts";
import type { Socket, Transport, TransportListener } from "./transport.ts";

/** The part of `fetch` that is used. */
export type FetchLike = (url: string, init: RequestInit) => Promise<Response>;

/** How frames come down: as a stream of events, or one answer after the other where a proxy holds streams back. */
export type HttpMode = "sse" | "poll";

/** Options of {@link httpTransport}. */
export interface HttpTransportOptions {
  /** Default: the global one. Inject one to use an own certificate authority in Node. */
  fetch?: FetchLike;
}

/** Bytes of one POST: what the entry takes. */
const MAX_POST_BYTES = 256 * 1024;
const NO_CONTENT = 204;
const TOO_MANY_REQUESTS = 429;
const RETRY_MS = 1_000;
const URL_PARTS = /^(?:(https|wss|tls)|http|ws|tcp):\/\/([^/?#]+)/;

/**
 * Transport over HTTP for `https://host` and `http://host`; `wss:`, `tls:`, `ws:` and `tcp:` URLs are taken for the same
 * host and port. What is sent first must be HELLO: it opens the downlink.
 */
export function httpTransport(mode: HttpMode, options: HttpTransportOptions = {}): Transport {
  return (url, listener) => {
    const [, secure, host] = URL_PARTS.exec(url) ?? [];
    if (!host) throw new ImClientError(DisconnectCode.PROTOCOL_ERROR, `${url}: want https://`);
    return attach(mode, `http${secure ? "s" : ""}://${host}/v1/`, listener, options.fetch ?? fetch);
  };
}

/** One session. Closures in place of a class: they are smaller in a bundle. */
function attach(mode: HttpMode, base: string, owner: TransportListener, request: FetchLike): Socket {
  const abort = new AbortController();
  /** Undefined: closed by one side or the other. */
  let listener: TransportListener | undefined = owner;
  let lease = "";
  let isStarted = false;
  let draining: Promise<void> | undefined;
  /** Whole frames in each. */
  const outgoing: Uint8Array[] = [];

  const end = (code: number, reason: string): void => {
    const told = listener;
    listener = undefined;
    abort.abort();
    told?.onClose(code, reason);
  };
  const closed = (codeAndReason: string): void => end(Number.parseInt(codeAndReason, 10), codeAndReason.slice(5));
  const refused = ({ headers, status }: Response): void =>
    closed(headers.get("im-close") ?? `${ClientCode.CONNECTION_LOST} HTTP ${status}`);
  const run = (work: Promise<void>): void => {
    // fetch says why in the cause of its error.
    work.catch((error: Error) => end(ClientCode.CONNECTION_LOST, messageOf(error.cause ?? error)));
  };

  const post = async (path: string, body: Uint8Array, cursor?: string | null): Promise<Response> => {
    const headers: Record<string, string> = { "content-type": "application/octet-stream" };
    if (lease) headers["im-lease"] = lease;
    if (cursor) headers["im-cursor"] = cursor;
    const init = {
      method: "POST",
      headers,
      body: body as Uint8Array<ArrayBuffer>,
      signal: abort.signal,
      credentials: "omit",
    } as const;
    const response = await request(base + path, init);
    lease = response.headers.get("im-lease") ?? lease;
    return response;
  };

  const postAll = async (): Promise<void> => {
    for (let bytes = take(outgoing); bytes.length > 0; ) {
      const response = await post("frames", bytes);
      await response.arrayBuffer();
      if (response.status === TOO_MANY_REQUESTS) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      // Another answer without an error is of something in between, and nobody has the frames.
      else if (response.status === NO_CONTENT) bytes = take(outgoing);
      else return refused(response);
    }
    // In the same turn as the last look: what is sent from now on begins anew. After a failure nothing is sent any more.
    draining = undefined;
  };
  /** Sends what waits, one request after the other: requests may not overtake each other. */
  const drain = async (): Promise<void> => {
    if (!lease) return;
    if (outgoing.length > 0) draining ??= postAll();
    await draining;
  };

  const onEvent = (name: string | undefined, data: string): void => {
    if (name === "lease") {
      lease = data;
      run(drain());
    } else if (name === "close") closed(data);
    else if (!name) listener?.onData(Uint8Array.from(atob(data), (char) => char.charCodeAt(0)));
  };
  const stream = async (hello: Uint8Array): Promise<void> => {
    const response = await post("stream", hello);
    const isStream = /event-s/.test(response.headers.get("content-type") ?? "");
    if (response.ok && isStream && response.body) await readEvents(response.body, eventSplitter(onEvent));
    refused(response);
  };
  const poll = async (hello: Uint8Array): Promise<void> => {
    let response = await post("poll", hello);
    while (response.ok) {
      const { headers } = response;
      // Whoever names no cursor is no entry, and its bytes are no frames: asking again at once would not end.
      if (!headers.has("im-cursor")) break;
      const bytes = new Uint8Array(await response.arrayBuffer());
      if (bytes.length > 0) listener?.onData(bytes);
      if (headers.has("im-close")) break;
      run(drain());
      if (!listener) return;
      response = await post("poll", EMPTY, headers.get("im-cursor"));
    }
    refused(response);
  };
  /** What was sent goes out first; nobody waits for it. */
  const leave = async (): Promise<void> => {
    await drain();
    if (lease && mode === "poll") await post("close", EMPTY);
    abort.abort();
  };

  queueMicrotask(() => listener?.onOpen());
  return {
    send(bytes) {
      if (isStarted) {
        outgoing.push(bytes);
        run(drain());
      } else {
        isStarted = true;
        run(mode === "sse" ? stream(bytes) : poll(bytes));
      }
    },
    close() {
      if (!listener) return;
      listener = undefined;
      setTimeout(() => abort.abort(), RETRY_MS);
      // The entry notices by itself when this does not arrive: its connection is silent from now on.
      run(leave());
    },
  };
}

/** Until the end of the stream. */
async function readEvents(body: ReadableStream<Uint8Array>, push: (chunk: Uint8Array) => void): Promise<void> {
  const reader = body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) push(part.value);
}

/** What goes into the next request. */
function take(outgoing: Uint8Array[]): Uint8Array {
  let length = 0;
  let count = 0;
  for (const chunk of outgoing) {
    length += chunk.length;
    if (count > 0 && length > MAX_POST_BYTES) break;
    count++;
  }
  return concat(outgoing.splice(0, count));
}
