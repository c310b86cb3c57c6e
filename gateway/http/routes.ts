// SPDX-License-Identifier: Apache-2.0
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "#lib/clock.ts";
import { MAX_FRAME_BYTES, MAX_FRAME_BYTES_BEFORE_AUTH, MAX_LENGTH_VARINT_BYTES } from "#proto/commands.ts";
import type { Admission } from "../listen/admission.ts";
import type { PendingSocket } from "../listen/sniff.ts";
import { clientAddress } from "../session/client-address.ts";
import type { Heartbeats } from "../session/heartbeat/heartbeats.ts";
import { readBody } from "./body.ts";
import { allowOrigin, answerPreflight, CLOSE_HEADER, CURSOR_HEADER, LEASE_HEADER } from "./cors.ts";
import { ENDPOINTS_PATH, type EndpointList } from "./endpoints.ts";
import { closeText } from "./http-carrier.ts";
import { LEASE_MS, type Lease, type LeaseSigner } from "./lease.ts";
import { PollCarrier } from "./poll-carrier.ts";
import type { HttpSessions, LocalSessions, Outcome } from "./sessions.ts";
import { SseCarrier } from "./sse-carrier.ts";

export const HTTP_PREFIX = "/v1/";
const BODY_TYPE = "application/octet-stream";
const MAX_BODY_BYTES = MAX_FRAME_BYTES + MAX_LENGTH_VARINT_BYTES;
/** From the end of a request's head to the end of its body. */
const BODY_TIMEOUT_MS = 15_000;
/** A poll without news is answered after this: proxies tend to give up after 30 s. */
const POLL_WAIT_MS = 25_000;
/** On top of the wait: asking another entry, and writing the answer. */
const ANSWER_TIMEOUT_MS = 15_000;
/** A socket may wait this long for its next request. */
export const KEEP_ALIVE_MS = 60_000;
const BUSY_RETRY_SECONDS = 1;
const CURSOR = /^\d{1,15}$/;
const WAIT = /^wait=(\d{1,2})$/;

/** Options of {@link HttpRoutes}. */
export interface HttpRoutesOptions {
  clock: Clock;
  heartbeats: Heartbeats;
  admission: Admission;
  signer: LeaseSigner;
  local: LocalSessions;
  remote: HttpSessions;
  /** `host:port` where other entries reach this one. */
  address(): string;
  /** Of other hosts, whose pages may call: `https://shop.example`. */
  origins: ReadonlySet<string>;
  endpoints: EndpointList;
  /** A socket may stay for the next request. */
  isReady(): boolean;
}

/** One request on its way. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Holds the deadline of its socket. */
  readonly pending: PendingSocket;
  /** When the time to log in began. */
  readonly startedTick: number;
  /** The client wants its socket for another request. */
  readonly mayStay: boolean;
}

/**
 * The HTTP carrier: `/v1/stream` (downlink by Server-Sent Events), `/v1/poll` (downlink piece by piece), `/v1/frames`
 * (uplink) and `/v1/close`; and `/v1/endpoints`, which needs no session. A session is a connection of the entry that holds its downlink; requests that come to
 * another entry are passed on to it, by the address in the lease they carry.
 */
export class HttpRoutes {
  readonly #options: HttpRoutesOptions;

  constructor(options: HttpRoutesOptions) {
    this.#options = options;
  }

  /** Answers a request under {@link HTTP_PREFIX}; whatever was asked before on its socket is answered. */
  handle(path: string, exchange: Exchange): void {
    const { request, response, pending } = exchange;
    const isList = path === ENDPOINTS_PATH;
    const isRead = request.method === "GET" || request.method === "HEAD";
    // Only who proves a lease keeps the socket: one login a socket, and none is kept without.
    response.shouldKeepAlive = false;
    response.setHeader("cache-control", "no-store");
    this.#allow(pending, BODY_TIMEOUT_MS);
    if (!allowOrigin(request, response, this.#options.origins)) refuse(response, 403, "this origin is not allowed");
    else if (request.method === "OPTIONS") answerPreflight(response);
    else if (isList && isRead) this.#options.endpoints.serve(request, response);
    else if (isList) refuse(response, 405, "GET and HEAD only");
    else if (request.method !== "POST") refuse(response, 405, "POST only");
    else if (request.headers["content-type"] !== BODY_TYPE) refuse(response, 415, `content-type must be ${BODY_TYPE}`);
    else this.#route(path, exchange).catch(() => response.destroy());
    response.once("finish", () => response.shouldKeepAlive && this.#allow(pending, KEEP_ALIVE_MS));
  }

  #allow(pending: PendingSocket, timeoutMs: number): void {
    const { heartbeats } = this.#options;
    pending.extend(heartbeats.tickAfter(timeoutMs));
    heartbeats.schedule(pending);
  }

  #route(path: string, exchange: Exchange): Promise<void> {
    const hasLease = exchange.request.headers[LEASE_HEADER] !== undefined;
    switch (path) {
      case "/v1/stream":
        return this.#openStream(exchange);
      case "/v1/poll":
        return hasLease ? this.#poll(exchange) : this.#openPoll(exchange);
      case "/v1/frames":
        return this.#frames(exchange);
      case "/v1/close":
        return this.#close(exchange);
      default:
        refuse(exchange.response, 404, "not found");
        return Promise.resolve();
    }
  }

  async #openStream(exchange: Exchange): Promise<void> {
    const hello = await this.#body(exchange, MAX_FRAME_BYTES_BEFORE_AUTH);
    if (!hello) return;
    const { request, response, pending } = exchange;
    if (!hasSocket(exchange)) return;
    const { admission, local, signer, heartbeats } = this.#options;
    pending.release();
    // No proxy may wait for the end of this.
    response.writeHead(200, { "content-type": "text/event-stream", "x-accel-buffering": "no" });
    const carrier = new SseCarrier(response, clientAddress(request.socket), heartbeats);
    const connection = admission.open(carrier, exchange.startedTick);
    const lease = this.#lease(connection.conn, local.add(connection, carrier));
    if (carrier.ended) return;
    response.write(`event: lease\ndata: ${signer.sign(lease)}\n\n`);
    connection.onMessage(hello);
  }

  async #openPoll(exchange: Exchange): Promise<void> {
    const hello = await this.#body(exchange, MAX_FRAME_BYTES_BEFORE_AUTH);
    if (!hello || !hasSocket(exchange)) return;
    const { request, response } = exchange;
    const { admission, local, clock } = this.#options;
    const carrier = new PollCarrier(clientAddress(request.socket), clock);
    response.once("close", () => {
      // Nobody has the lease: the session would only be in the way of the client's next one.
      if (!response.writableFinished) carrier.destroy();
    });
    const connection = admission.open(carrier, exchange.startedTick);
    const lease = this.#lease(connection.conn, local.add(connection, carrier));
    connection.onMessage(hello);
    await this.#answerPoll(exchange, lease, 0, POLL_WAIT_MS);
  }

  async #poll(exchange: Exchange): Promise<void> {
    const lease = this.#proven(exchange);
    if (!lease) return;
    const cursor = CURSOR.exec(exchange.request.headers[CURSOR_HEADER]?.toString() ?? "")?.[0];
    if (cursor === undefined) {
      refuse(exchange.response, 400, `${CURSOR_HEADER} must be the one of the last answer`);
      return;
    }
    const body = await this.#body(exchange, 0);
    if (body) await this.#answerPoll(exchange, lease, Number(cursor), waitMsOf(exchange.request));
  }

  async #answerPoll(exchange: Exchange, lease: Lease, cursor: number, waitMs: number): Promise<void> {
    this.#allow(exchange.pending, waitMs + ANSWER_TIMEOUT_MS);
    const isWanted = (): boolean => !exchange.response.destroyed;
    this.#answer(exchange, lease, await this.#sessions(lease).poll(lease, cursor, waitMs, isWanted));
  }

  async #frames(exchange: Exchange): Promise<void> {
    const lease = this.#proven(exchange);
    const frames = lease && (await this.#body(exchange, MAX_BODY_BYTES));
    if (frames) this.#answer(exchange, lease, await this.#sessions(lease).post(lease, frames));
  }

  async #close(exchange: Exchange): Promise<void> {
    const lease = this.#proven(exchange);
    if (lease) this.#answer(exchange, lease, await this.#sessions(lease).close(lease));
  }

  /** The lease of a request; undefined when that was refused. Checked before its body is read. */
  #proven({ request, response, mayStay }: Exchange): Lease | undefined {
    const { signer, clock, isReady } = this.#options;
    const text = request.headers[LEASE_HEADER];
    const lease = typeof text === "string" ? signer.verify(text, clock.wallMs()) : undefined;
    if (!lease) refuse(response, 401, `${LEASE_HEADER} is missing, altered or out of date: log in again`);
    else response.shouldKeepAlive = mayStay && isReady();
    return lease;
  }

  /** The body; undefined when it was refused, or the client is gone. */
  async #body({ request, response }: Exchange, maxBytes: number): Promise<Buffer | undefined> {
    const body = await readBody(request, maxBytes);
    if (body.kind === "too_large") refuse(response, 413, `more than ${maxBytes} bytes`);
    return body.kind === "whole" ? body.bytes : undefined;
  }

  #sessions(lease: Lease): HttpSessions {
    return lease.address === this.#options.address() ? this.#options.local : this.#options.remote;
  }

  #lease(conn: number, nonce: string): Lease {
    const { clock, address } = this.#options;
    return { deadlineMs: clock.wallMs() + LEASE_MS, address: address(), conn, nonce };
  }

  /** Every answer carries a fresh lease. */
  #answer({ response }: Exchange, { conn, nonce, address }: Lease, outcome: Outcome): void {
    if (response.destroyed) return;
    const deadlineMs = this.#options.clock.wallMs() + LEASE_MS;
    response.setHeader(LEASE_HEADER, this.#options.signer.sign({ deadlineMs, address, conn, nonce }));
    switch (outcome.kind) {
      case "ok":
        response.writeHead(204).end();
        return;
      case "bytes":
        if (outcome.ended) response.setHeader(CLOSE_HEADER, closeText(outcome.ended));
        response.writeHead(200, {
          "content-type": BODY_TYPE,
          "content-length": outcome.bytes.length,
          [CURSOR_HEADER]: outcome.cursor,
        });
        response.end(outcome.bytes);
        return;
      case "busy":
        response.setHeader("retry-after", BUSY_RETRY_SECONDS);
        response.writeHead(429, { "content-length": 0 }).end();
        return;
      case "conflict":
        refuse(response, 409, "no position of this downlink: log in again");
        return;
      case "gone":
        response.setHeader(CLOSE_HEADER, closeText(outcome.ended));
        refuse(response, 410, "this connection is gone");
        return;
    }
  }
}

/**
 * False: its socket is gone, or still busy with the answer before. Such a response would never hear that the socket
 * closed, and what depends on it would stay for ever.
 */
function hasSocket({ request, response }: Exchange): boolean {
  if (response.socket && !response.destroyed) return true;
  request.socket.destroy();
  return false;
}

/** `Prefer: wait=10`, RFC 7240. */
function waitMsOf(request: IncomingMessage): number {
  const seconds = WAIT.exec(request.headers.prefer?.toString() ?? "")?.[1];
  return Math.min(POLL_WAIT_MS, seconds === undefined ? POLL_WAIT_MS : Number(seconds) * 1000);
}

/** The last answer on its socket: what may follow there is nobody's business. */
function refuse(response: ServerResponse, status: number, text: string): void {
  response.shouldKeepAlive = false;
  const line = `${text}\n`;
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", "content-length": line.length });
  response.end(line);
}
