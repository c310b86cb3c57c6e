// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from "node:crypto";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer as createTlsServer, type ServerOptions } from "node:https";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { listen } from "#lib/listen.ts";
import { createServer, STATUS_CODES } from "#lib/node-http.ts";
import { requestFault } from "#lib/request-rules.ts";
import type { TlsFiles } from "#lib/tls-files.ts";
import type { AdminPage } from "./admin-page.ts";
import type { ApiDesk, ApiRequest, ApiResponse } from "./api-desk.ts";
import { MAX_BODY_BYTES } from "./api-desk.ts";
import { type ClientCertificate, readCertificate } from "./client-certificate.ts";
import { PROBLEMS, problemBody, refuse } from "./problem.ts";
import { announcesMore, readBody } from "./request-body.ts";

const LIMITS = {
  maxHeaderSize: 8 * 1024,
  headersTimeout: 10_000,
  requestTimeout: 15_000,
  keepAliveTimeout: 20_000,
  connectionsCheckingInterval: 1000,
} as const;
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Longer than any call takes: who does not read the answer by then keeps its memory no longer. */
const IDLE_MS = 60_000;
const MAX_CONNECTIONS = 1000;
const MAX_URL_CHARS = 8 * 1024;
/** A refused body: its sender may still write, and hears the answer first. */
const LINGER_MS = 500;
const OPENAPI_PATH = "/openapi.json";
const DRAIN_MS = 5000;

/** Options of {@link startApiListener}. */
export interface ApiListenerOptions {
  /** Files that are served to everybody; what they show needs a key. Default: none. */
  page?: Pick<AdminPage, "answer">;
  /** 0 = any free port. */
  port: number;
  desk: Pick<ApiDesk, "handle">;
  /** The OpenAPI document, served to everybody. */
  document: string;
  /** Undefined: plain HTTP, for what ends TLS in front of it. With a CA, clients must show a certificate of it. */
  tls: TlsFiles | undefined;
  /** A connection on which nothing moves for so long ends. Default 60,000. */
  idleMs?: number;
}

export interface ApiListener {
  readonly port: number;
  /** New connections see the new certificate. */
  setTls(files: TlsFiles): void;
  /** Takes no more requests; resolves when those in hand are answered, or after 5 s. */
  close(): Promise<void>;
}

/** HTTP/1.1 for the API: bounded headers, bodies, times and connections; one request after the other on each. */
export async function startApiListener(options: ApiListenerOptions): Promise<ApiListener> {
  const { tls } = options;
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => serve(options, request, response);
  const secure = tls && createTlsServer({ ...LIMITS, ...tlsOptions(tls) }, onRequest);
  const server = secure ?? createServer(LIMITS, onRequest);
  server.maxConnections = MAX_CONNECTIONS;
  server.timeout = options.idleMs ?? IDLE_MS;
  // node:http would drop the rest of too many unseen; requestFault counts them, and their bytes are bounded.
  server.maxHeadersCount = 0;
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => {
    response.shouldKeepAlive = false;
    write(request, response, plainRefusal(417));
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    if (!socket.writable || socket.bytesWritten > 0) socket.destroy();
    else socket.end(rawRefusal(error.code));
  });
  const port = await listen(server, options.port);
  return {
    port,
    setTls: (files) => secure?.setSecureContext(tlsOptions(files)),
    close: () => closeServer(server),
  };
}

function tlsOptions({ cert, key, ca }: TlsFiles): ServerOptions {
  const mutual = ca ? { ca, requestCert: true, rejectUnauthorized: true } : {};
  const common = {
    minVersion: "TLSv1.2",
    ALPNProtocols: ["http/1.1"],
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
  } as const;
  return { cert, key, ...common, ...mutual };
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}

function serve({ desk, document, page }: ApiListenerOptions, request: IncomingMessage, response: ServerResponse): void {
  const fault = requestFault(request, false);
  const url = request.url ?? "/";
  if (fault !== undefined || url.length > MAX_URL_CHARS || !url.startsWith("/")) {
    response.shouldKeepAlive = false;
    write(request, response, plainRefusal(fault ?? 400));
    return;
  }
  const [path = "/", ...query] = url.split("?");
  if (path === OPENAPI_PATH && request.method === "GET") {
    write(request, response, { status: 200, headers: { "content-type": "application/json" }, body: document });
    return;
  }
  const file = page?.answer(request.method ?? "", path);
  if (file) {
    write(request, response, file);
    return;
  }
  void desk.handle(requestOf(request, path, query.join("?"))).then((answer) => write(request, response, answer));
}

function requestOf(request: IncomingMessage, path: string, query: string): ApiRequest {
  const {
    authorization,
    "idempotency-key": idempotencyKey,
    "content-type": contentType,
    traceparent,
  } = request.headers;
  return {
    id: randomUUID(),
    method: request.method ?? "",
    path,
    query: new URLSearchParams(query),
    ...{ authorization, certificate: certificateOf(request.socket) },
    // A header that comes twice is joined by node:http, and fits no pattern then.
    idempotencyKey: Array.isArray(idempotencyKey) ? idempotencyKey.join(",") : idempotencyKey,
    contentType,
    traceparent: Array.isArray(traceparent) ? undefined : traceparent,
    readBody: (maxBytes) => readBody(request, maxBytes),
  };
}

/** Of a connection whose certificate was asked for and verified. */
function certificateOf(socket: Socket): ClientCertificate | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  return readCertificate(socket.getPeerCertificate());
}

/** Answers; a body that nobody has read is thrown away where it is small, else the connection ends. */
function write(request: IncomingMessage, response: ServerResponse, { status, headers, body }: ApiResponse): void {
  const isBodyLeft = !request.complete;
  const ends = isBodyLeft && (request.readableFlowing !== null || isLarge(request));
  if (ends) response.shouldKeepAlive = false;
  response.writeHead(status, {
    ...headers,
    ...(status === 204 ? {} : { "content-length": Buffer.byteLength(body) }),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(body);
  if (ends) endSoon(request.socket);
  else if (isBodyLeft) request.resume();
}

/** The body has no end that we know of, or a late one. */
function isLarge(request: IncomingMessage): boolean {
  return request.headers["transfer-encoding"] !== undefined || announcesMore(request, MAX_BODY_BYTES);
}

function endSoon(socket: Socket): void {
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once("close", () => clearTimeout(timer));
}

/** What is wrong before there is a request that the desk could look at. */
function plainRefusal(status: 400 | 417 | 431): ApiResponse {
  const code = status === 431 ? "headers_too_large" : "malformed";
  const refusal = refuse(code, status === 417 ? "no such expectation" : "the request is not HTTP/1.1 as it should be");
  return {
    status,
    headers: { "content-type": "application/problem+json" },
    body: JSON.stringify({ ...problemBody(refusal, randomUUID()), status }),
  };
}

/** For a socket on which no request could be read. */
function rawRefusal(errorCode: string | undefined): string {
  const status = errorCode === "HPE_HEADER_OVERFLOW" ? 431 : errorCode === "ERR_HTTP_REQUEST_TIMEOUT" ? 408 : 400;
  const refusal = refuse(status === 431 ? "headers_too_large" : "malformed", "the request could not be read");
  const title = PROBLEMS[refusal.code].title;
  const body = JSON.stringify({ ...problemBody(refusal, randomUUID()), status, title });
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "content-type: application/problem+json",
    `content-length: ${Buffer.byteLength(body)}`,
    "connection: close",
  ];
  return `${head.join("\r\n")}\r\n\r\n${body}`;
}
