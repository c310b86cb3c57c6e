// SPDX-License-Identifier: Apache-2.0
// The HTTP carrier as an entry offers it, for one client after the other, and ways to make it fail.
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Server side of a session: what the test writes goes down. */
export interface HttpPeer {
  write(bytes: Uint8Array): void;
  /** Ends the downlink as an entry does; without a code, as a network does. */
  end(code?: number, reason?: string): void;
}

/** What went wrong on the way, to be set by the test. */
export interface HttpFaults {
  /** Answers of polls that are thrown away after they were written. */
  lostPolls: number;
  /** Uplink requests that are answered 429. */
  busy: number;
  /** Streams are accepted, and nothing of them arrives. */
  swallowsStreams: boolean;
}

interface Session {
  readonly take: (bytes: Uint8Array) => void;
  stream: ServerResponse | undefined;
  poll: ServerResponse | undefined;
  kept: Buffer;
  start: number;
  close: string | undefined;
  isCut: boolean;
}

export interface HttpServer {
  url: string;
  faults: HttpFaults;
  /** Path of every request. */
  paths: string[];
  close(): Promise<void>;
}

/** @param accept is given each session's peer, and returns what takes its bytes */
export async function startHttpServer(accept: (peer: HttpPeer) => (bytes: Uint8Array) => void): Promise<HttpServer> {
  const sessions = new Map<string, Session>();
  const faults: HttpFaults = { lostPolls: 0, busy: 0, swallowsStreams: false };
  const paths: string[] = [];
  const server = createServer((request, response) => void answer(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bytesOf(request);
    paths.push(request.url ?? "");
    const lease = request.headers["im-lease"]?.toString();
    const session = lease === undefined ? undefined : sessions.get(lease);
    if (request.url === "/v1/stream" || (request.url === "/v1/poll" && lease === undefined))
      open(request, response, body);
    else if (!session) response.writeHead(401).end();
    else if (session.isCut) response.writeHead(410).end();
    else if (request.url === "/v1/poll") poll(session, response, Number(request.headers["im-cursor"]));
    else if (request.url === "/v1/close") response.writeHead(204).end();
    else if (faults.busy > 0) response.writeHead(429, { "retry-after": "1" }).end(void faults.busy--);
    else {
      session.take(body);
      response.writeHead(204).end();
    }
  }

  function open(request: IncomingMessage, response: ServerResponse, hello: Uint8Array): void {
    const lease = `lease-${sessions.size + 1}`;
    const session: Session = {
      take: (bytes) => take(bytes),
      stream: undefined,
      poll: undefined,
      kept: Buffer.alloc(0),
      start: 0,
      close: undefined,
      isCut: false,
    };
    sessions.set(lease, session);
    const take = accept({
      write: (bytes) => write(session, Buffer.from(bytes)),
      end: (code, reason = "") => end(session, code, reason),
    });
    if (request.url === "/v1/poll") {
      session.poll = response;
      response.setHeader("im-lease", lease);
    } else if (faults.swallowsStreams) return;
    else {
      session.stream = response;
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(`event: lease\ndata: ${lease}\n\n:\n\n`);
    }
    take(hello);
  }

  function write(session: Session, bytes: Buffer): void {
    // In two parts: an event may be cut anywhere.
    const event = `data: ${bytes.toString("base64")}\n\n`;
    session.stream?.write(event.slice(0, 9));
    session.stream?.write(event.slice(9));
    if (session.stream) return;
    session.kept = Buffer.concat([session.kept, bytes]);
    flush(session);
  }

  function poll(session: Session, response: ServerResponse, cursor: number): void {
    session.kept = session.kept.subarray(cursor - session.start);
    session.start = cursor;
    session.poll = response;
    flush(session);
  }

  function flush(session: Session): void {
    const { poll: response, kept, start, close } = session;
    if (!response || (kept.length === 0 && close === undefined)) return;
    session.poll = undefined;
    if (close !== undefined) response.setHeader("im-close", close);
    response.setHeader("im-cursor", start + kept.length);
    if (faults.lostPolls > 0) {
      faults.lostPolls--;
      response.destroy();
    } else response.end(kept);
  }

  function end(session: Session, code: number | undefined, reason: string): void {
    session.isCut = code === undefined;
    if (code === undefined) {
      session.stream?.destroy();
      session.poll?.destroy();
      return;
    }
    session.stream?.end(`event: close\ndata: ${code} ${reason}\n\n`);
    session.close = `${code} ${reason}`;
    flush(session);
  }

  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = (): Promise<void> => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  };
  return { url, faults, paths, close };
}

async function bytesOf(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return new Uint8Array(Buffer.concat(chunks));
}
