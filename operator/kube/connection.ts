// SPDX-License-Identifier: Apache-2.0
import http, { type IncomingMessage } from "node:http";
import https from "node:https";
import type { KubeConfig } from "@kubernetes/client-node";
import { type Clock, systemClock } from "#lib/clock.ts";
import { KubeError, type KubeStatus, kubeErrorOf } from "./kube-error.ts";

/** Our sockets to one API server; beyond it requests wait, within their deadline. */
const MAX_SOCKETS = 64;
/** Shorter than the 90 s after which the API server closes an idle connection, so that we rarely race it. */
const IDLE_SOCKET_MS = 30_000;
/** With the kernel's 10 probes a second apart, a host that vanished is noticed in 25 s. */
const KEEPALIVE_PROBE_MS = 15_000;
/** A page of 500 objects of the largest size etcd takes would be 750 MiB; ours are a few KiB each. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;

export interface ConnectionOptions {
  kubeConfig: KubeConfig;
  userAgent: string;
  clock?: Clock;
}

export interface HttpRequest {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  /** With its query. */
  path: string;
  contentType?: string;
  body?: string;
  deadlineMs: number;
  signal?: AbortSignal;
}

export interface HttpAnswer {
  status: number;
  body: string;
  warnings: string[];
  /** From `Retry-After`, 0 without. */
  retryAfterMs: number;
}

/**
 * HTTP to the API server of a kubeconfig. node:https instead of the undici that client-node brings: we need the socket's
 * keepalive, one bounded pool and a certain end of every stream; client-node makes a new undici pool for each request.
 */
export class Connection {
  readonly #kubeConfig: KubeConfig;
  readonly #userAgent: string;
  readonly #clock: Clock;
  readonly #base: URL;
  readonly #pool: http.Agent;
  readonly #live = new Set<http.ClientRequest>();
  #closed = false;

  constructor(options: ConnectionOptions) {
    const cluster = options.kubeConfig.getCurrentCluster();
    if (!cluster) throw new KubeError(0, "Config", "the kubeconfig has no current cluster");
    this.#kubeConfig = options.kubeConfig;
    this.#userAgent = options.userAgent;
    this.#clock = options.clock ?? systemClock;
    this.#base = new URL(cluster.server);
    const poolOptions = { keepAlive: true, maxSockets: MAX_SOCKETS, timeout: IDLE_SOCKET_MS };
    this.#pool = this.#base.protocol === "http:" ? new http.Agent(poolOptions) : new https.Agent(poolOptions);
  }

  /** One request and its whole answer, whatever the status. Throws a {@link KubeError} of status 0 without an answer. */
  async request(request: HttpRequest): Promise<HttpAnswer> {
    const untilMs = this.#clock.nowMs() + request.deadlineMs;
    try {
      return await this.#exchange(request, request.deadlineMs);
    } catch (error) {
      // The server closed a pooled connection at the moment we used it. POST may not be repeated blindly.
      if (!(error instanceof StaleSocket)) throw error;
      const leftMs = untilMs - this.#clock.nowMs();
      if (request.method === "POST" || leftMs <= 0) throw error.fault;
      return await this.#exchange(request, leftMs);
    }
  }

  /**
   * The answer to a GET as a stream, on a socket of its own; the deadline covers the time to its first byte.
   * A status other than 200 is thrown. The caller must destroy the stream.
   */
  async stream(path: string, deadlineMs: number, signal?: AbortSignal): Promise<IncomingMessage> {
    const request: HttpRequest = { method: "GET", path, deadlineMs, signal };
    return await this.#attempt(request, false, deadlineMs, async (response) => {
      if (response.statusCode === 200) return response;
      throw answerError(await readAnswer(response), `watch ${path}`);
    });
  }

  /** Where and with which credentials a WebSocket of this path is opened; for what the API server answers by upgrading. */
  async upgrade(path: string): Promise<{ url: URL; options: https.RequestOptions }> {
    const made = await this.#options({ method: "GET", path, deadlineMs: 0 }, false);
    const url = new URL(made.path ?? path, this.#base);
    url.protocol = this.#base.protocol === "http:" ? "ws:" : "wss:";
    // What the URL says already would be taken twice, and `false` is no agent to a WebSocket.
    const { protocol: _, hostname: __, port: ___, method: ____, path: _____, agent, ...rest } = made;
    // The headers go on to the kubelet, whose routes of this kind name no type: anything but this is 406 to them.
    const options = { ...rest, headers: { ...rest.headers, accept: "*/*" } };
    return { url, options: agent ? { ...options, agent } : options };
  }

  close(): void {
    this.#closed = true;
    for (const request of this.#live) request.destroy(new KubeError(0, "Closed", "the client was closed"));
    this.#pool.destroy();
  }

  async #exchange(request: HttpRequest, deadlineMs: number): Promise<HttpAnswer> {
    try {
      return await this.#attempt(request, true, deadlineMs, readAnswer);
    } catch (error) {
      if (error instanceof KubeError && error.reason === "Timeout") this.#dropIdleSockets();
      throw error;
    }
  }

  /** Runs `read` on the response; the deadline and the signal end the request until `read` has settled. */
  async #attempt<R>(
    request: HttpRequest,
    pooled: boolean,
    deadlineMs: number,
    read: (response: IncomingMessage) => Promise<R>,
  ): Promise<R> {
    if (this.#closed) throw new KubeError(0, "Closed", "the client was closed");
    const name = `${request.method} ${request.path}`;
    const attempt = new Attempt(name);
    const timedOut = (): void => attempt.fail(new KubeError(0, "Timeout", `${name}: no answer in ${deadlineMs} ms`));
    const cancelTimer = this.#clock.after(deadlineMs, timedOut);
    const aborted = (): void => attempt.fail(new KubeError(0, "Aborted", `${name}: aborted`));
    request.signal?.addEventListener("abort", aborted);
    if (request.signal?.aborted) aborted();
    try {
      const options = await attempt.orFail(this.#options(request, pooled));
      const sent = this.#send(options, request.body);
      attempt.sent = sent;
      return await attempt.orFail(responseOf(sent).then(read));
    } catch (error) {
      throw attempt.faultOf(error);
    } finally {
      cancelTimer();
      request.signal?.removeEventListener("abort", aborted);
    }
  }

  async #options(request: HttpRequest, pooled: boolean): Promise<https.RequestOptions> {
    const { protocol, hostname, port, pathname } = this.#base;
    const options: https.RequestOptions = {
      protocol,
      // URL keeps the brackets of an IPv6 address, the resolver does not want them.
      hostname: hostname.replace(/^\[|\]$/g, ""),
      port,
      method: request.method,
      path: `${pathname.replace(/\/$/, "")}${request.path}`,
      headers: {
        accept: "application/json",
        "user-agent": this.#userAgent,
        ...(request.body === undefined
          ? {}
          : { "content-type": request.contentType, "content-length": Buffer.byteLength(request.body) }),
      },
    };
    await this.#kubeConfig.applyToHTTPSOptions(options);
    // client-node's own agent opens a connection for each request; only a proxy needs it.
    if (!this.#kubeConfig.getCurrentCluster()?.proxyUrl) options.agent = pooled ? this.#pool : false;
    return options;
  }

  #send(options: https.RequestOptions, body: string | undefined): http.ClientRequest {
    const sent = options.protocol === "http:" ? http.request(options) : https.request(options);
    this.#live.add(sent);
    sent.once("close", () => this.#live.delete(sent));
    sent.once("socket", (socket) => socket.setKeepAlive(true, KEEPALIVE_PROBE_MS));
    sent.end(body);
    return sent;
  }

  /** After a timeout the pooled connections may all be dead ends: do not let each of them cost a deadline. */
  #dropIdleSockets(): void {
    for (const sockets of Object.values(this.#pool.freeSockets)) {
      for (const socket of sockets ?? []) socket.destroy();
    }
  }
}

/** A pooled socket was closed by the server before it answered. */
class StaleSocket extends Error {
  readonly fault: KubeError;

  constructor(fault: KubeError) {
    super(fault.message, { cause: fault });
    this.fault = fault;
  }
}

/** One request under way, which can be failed from outside at any moment. */
class Attempt {
  readonly #name: string;
  readonly #failed = Promise.withResolvers<never>();
  #fault: KubeError | undefined;
  sent: http.ClientRequest | undefined;

  constructor(name: string) {
    this.#name = name;
    this.#failed.promise.catch(() => undefined);
  }

  fail(fault: KubeError): void {
    this.#fault ??= fault;
    this.#failed.reject(this.#fault);
    this.sent?.destroy(this.#fault);
  }

  orFail<R>(work: Promise<R>): Promise<R> {
    return Promise.race([work, this.#failed.promise]);
  }

  faultOf(error: unknown): Error {
    this.sent?.destroy();
    if (this.#fault) return this.#fault;
    if (error instanceof KubeError) return error;
    const message = error instanceof Error ? error.message : String(error);
    const fault = new KubeError(0, "Network", `${this.#name}: ${message}`, { cause: error });
    return this.sent?.reusedSocket && isReset(error) ? new StaleSocket(fault) : fault;
  }
}

function isReset(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "ECONNRESET" || code === "EPIPE";
}

function responseOf(sent: http.ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    // Stays for the life of the request: an error after the response must not be unhandled.
    sent.on("error", reject);
    sent.once("response", resolve);
  });
}

async function readAnswer(response: IncomingMessage): Promise<HttpAnswer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES)
      throw new KubeError(413, "TooLarge", `the answer is longer than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return {
    status: response.statusCode ?? 0,
    body: Buffer.concat(chunks, bytes).toString("utf8"),
    warnings: [response.headers.warning ?? []].flat(),
    retryAfterMs: retryAfterMs(response.headers["retry-after"]),
  };
}

/** Only the form in seconds: the API server sends no other. */
function retryAfterMs(header: string | undefined): number {
  const seconds = Number(header ?? 0);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0;
}

/** The error of an answer that is not 2xx. */
export function answerError(answer: HttpAnswer, context: string): KubeError {
  const status = parseStatus(answer.body) ?? { message: answer.body.slice(0, 500) || undefined };
  return kubeErrorOf(answer.status, { ...status, code: answer.status }, context, answer.retryAfterMs);
}

function parseStatus(body: string): KubeStatus | undefined {
  try {
    const parsed: unknown = JSON.parse(body);
    return typeof parsed === "object" && parsed !== null && "kind" in parsed && parsed.kind === "Status"
      ? (parsed as KubeStatus)
      : undefined;
  } catch {
    return undefined;
  }
}
