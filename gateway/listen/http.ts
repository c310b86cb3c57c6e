// SPDX-License-Identifier: Apache-2.0
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { createServer, STATUS_CODES } from "#lib/node-http.ts";
import { requestFault } from "#lib/request-rules.ts";
import type { DemoFiles } from "../demo.ts";
import { HTTP_PREFIX, type HttpRoutes, KEEP_ALIVE_MS } from "../http/routes.ts";
import type { Heartbeats } from "../session/heartbeat/heartbeats.ts";
import type { Admission } from "./admission.ts";
import { isAllowedOrigin } from "./origin.ts";
import type { PendingSocket } from "./sniff.ts";
import { acceptWebSocket, WS_PATH } from "./ws.ts";
import { readUpgrade, type Upgrade } from "./ws-upgrade.ts";

const MAX_HEADER_BYTES = 8 * 1024;
const MAX_HEADERS = 64;
/** From the end of the request's head to the end of the answer. */
const ANSWER_TIMEOUT_MS = 30_000;

/** Options of {@link HttpDoor}. */
export interface HttpDoorOptions {
  heartbeats: Heartbeats;
  admission: Admission;
  routes: HttpRoutes;
  /** Whose pages may open a WebSocket, besides those of the host that was asked. */
  allowedOrigins: ReadonlySet<string>;
  isReady(): boolean;
  /** A request was turned away before it became anything. */
  onRefused(reason: "origin"): void;
  /** Undefined: no demo. */
  demo: DemoFiles | undefined;
}

function emptyAnswer(status: number): string {
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`;
}

const PENDING = Symbol("pending");
/** The answer to its newest request, written or not. */
const LAST = Symbol("last response");
type HttpSocket = Socket & { [PENDING]?: PendingSocket | undefined; [LAST]?: ServerResponse | undefined };

/**
 * True: a request may follow the one before. False: nobody needs it, and it would wait in memory; the socket is on its
 * way out. An answer that is complete still gets there.
 */
function mayFollow(socket: HttpSocket): boolean {
  const last = socket[LAST];
  if (!last) return true;
  if (!last.writableEnded) socket.destroy();
  else if (!last.shouldKeepAlive) socket.destroySoon();
  else return true;
  return false;
}

/**
 * HTTP on the client port: the WebSocket upgrade, the HTTP carrier, `/healthz`, and the demo page. It never listens
 * itself; sockets are handed to it, so the time limits of node:http do not run: {@link PendingSocket} has them. One
 * request a socket; only the HTTP carrier takes several, one after the other.
 */
export class HttpDoor {
  readonly #options: HttpDoorOptions;
  readonly #server: Server;

  constructor(options: HttpDoorOptions) {
    this.#options = options;
    this.#server = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, (request, response) =>
      this.#onRequest(request, response),
    );
    // node:http would drop the rest of too many unseen; requestFault counts them, and their bytes are bounded.
    this.#server.maxHeadersCount = 0;
    this.#server.keepAliveTimeout = KEEP_ALIVE_MS;
    this.#server.on("upgrade", (request, socket, head) => this.#onUpgrade(request, socket as HttpSocket, head));
    this.#server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => {
      const socket: HttpSocket = request.socket;
      if (!mayFollow(socket)) return;
      socket[LAST] = response;
      // By itself node:http would answer, too, but keep the connection.
      response.shouldKeepAlive = false;
      answer(response, 417, "no such expectation\n");
    });
    this.#server.on("clientError", (error: NodeJS.ErrnoException, socket: HttpSocket) => {
      const last = socket[LAST];
      // What follows a request gets no answer of its own: somebody may take it for the answer to another one's.
      if (last && !last.writableEnded && (last.req.complete || last.headersSent)) socket.destroy();
      else if (last?.writableEnded || socket.bytesWritten > 0) socket.destroySoon();
      else if (socket.writable) socket.end(emptyAnswer(error.code === "HPE_HEADER_OVERFLOW" ? 431 : 400));
      else socket.destroy();
    });
  }

  /** Takes over a socket; `pending` holds its deadline. */
  accept(socket: Socket, pending: PendingSocket): void {
    const tagged: HttpSocket = socket;
    tagged[PENDING] = pending;
    this.#server.emit("connection", socket);
    socket.resume();
  }

  #onUpgrade(request: IncomingMessage, socket: HttpSocket, head: Buffer): void {
    // node:http has let go of it.
    socket.on("error", ignoreReset);
    if (!mayFollow(socket)) return;
    const pending = socket[PENDING];
    const upgrade = !pending || pathOf(request) !== WS_PATH ? 404 : this.#readUpgrade(request);
    if (!pending || typeof upgrade === "number") {
      socket.end(emptyAnswer(typeof upgrade === "number" ? upgrade : 404), () => socket.destroySoon());
      return;
    }
    socket.off("error", ignoreReset);
    socket[PENDING] = undefined;
    pending.release();
    const startedTick = this.#startedTick(socket, pending);
    // Not kept for as long as the connection lives.
    socket[LAST] = undefined;
    acceptWebSocket(this.#options.admission, socket, upgrade, head, startedTick);
  }

  /** When the time to log in began: a socket that already served a request may be old. */
  #startedTick(socket: HttpSocket, pending: PendingSocket): number {
    return socket[LAST] ? this.#options.heartbeats.nowTick : pending.acceptedTick;
  }

  #readUpgrade(request: IncomingMessage): Upgrade | number {
    const fault = requestFault(request, true);
    if (fault !== undefined) return fault;
    const { origin, host } = request.headers;
    if (isAllowedOrigin(origin, host, this.#options.allowedOrigins))
      return readUpgrade(request.method, request.headers);
    this.#options.onRefused("origin");
    return 403;
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const { heartbeats, demo, routes, isReady } = this.#options;
    const socket: HttpSocket = request.socket;
    if (!mayFollow(socket)) return;
    const pending = socket[PENDING];
    response.setHeader("strict-transport-security", "max-age=31536000");
    response.setHeader("x-content-type-options", "nosniff");
    const path = pathOf(request);
    const fault = requestFault(request, false);
    if (fault === undefined && pending && path.startsWith(HTTP_PREFIX)) {
      const startedTick = this.#startedTick(socket, pending);
      socket[LAST] = response;
      routes.handle(path, { request, response, pending, startedTick, mayStay: response.shouldKeepAlive });
      return;
    }
    socket[LAST] = response;
    pending?.extend(heartbeats.tickAfter(ANSWER_TIMEOUT_MS));
    response.shouldKeepAlive = false;
    if (fault !== undefined) answer(response, fault, `${STATUS_CODES[fault]}\n`);
    else if (request.method !== "GET" && request.method !== "HEAD") answer(response, 405, "GET and HEAD only\n");
    else if (path === "/healthz") answer(response, isReady() ? 200 : 503, isReady() ? "ready\n" : "not ready\n");
    else if (path === WS_PATH) answer(response, 426, "this is a WebSocket\n");
    else if (!demo?.serve(path, response)) answer(response, 404, "not found\n");
  }
}

function ignoreReset(this: Socket): void {
  this.destroy();
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? "/").split("?", 1)[0] ?? "/";
}

function answer(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", "content-length": text.length });
  response.end(text);
}

const HOST = /^([A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])(:\d{1,5})?$/;

/**
 * The plain HTTP port: everything is redirected to https. A Host with a port came past the Service, as in development,
 * and goes to the TLS port as it is; one without belongs to port 443.
 */
export function createRedirectServer(tlsPort: () => number, headersTimeoutMs = 10_000): Server {
  const limits = {
    headersTimeout: headersTimeoutMs,
    // How often node:http looks; by default every 30 s.
    connectionsCheckingInterval: 500,
    requestTimeout: 15_000,
    keepAliveTimeout: 1000,
    maxHeaderSize: MAX_HEADER_BYTES,
  };
  const server = createServer(limits, (request, response) => {
    const host = HOST.exec(request.headers.host ?? "");
    if (!host?.[1] || !request.url?.startsWith("/")) {
      answer(response, 400, "a Host header is needed\n");
      return;
    }
    const port = host[2] === undefined || host[2] === ":80" ? "" : `:${tlsPort()}`;
    response.writeHead(308, { location: `https://${host[1]}${port}${request.url}`, "content-length": 0 });
    response.end();
  });
  server.maxHeadersCount = MAX_HEADERS;
  server.maxConnections = 2000;
  return server;
}
