// SPDX-License-Identifier: Apache-2.0
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import { toImError } from "#lib/errors.ts";
import { listen } from "#lib/listen.ts";
import type { Logger } from "#lib/logger.ts";
import { type EvictionRequest, parseReview, reviewReply } from "./review.ts";

/** An AdmissionReview of an eviction is about 2 KiB. */
const MAX_BODY_BYTES = 256 * 1024;
const MAX_CONNECTIONS = 200;

export interface EvictionServerOptions {
  /** 0 = any free port. */
  port: number;
  host?: string;
  /** Why a pod may not be evicted yet; `undefined` when it may. */
  refuse(request: EvictionRequest): Promise<string | undefined>;
  log: Logger;
}

/** HTTPS for the API server: `POST /evictions`. Anything else is answered 404, what is no review 400. */
export class EvictionServer {
  readonly #options: EvictionServerOptions;
  #server: Server | undefined;

  constructor(options: EvictionServerOptions) {
    this.#options = options;
  }

  /** With another certificate from the next connection on. The first call begins to listen. @returns the port */
  async use(pair: { cert: string; key: string }): Promise<number> {
    if (this.#server) {
      this.#server.setSecureContext({ ...pair, minVersion: "TLSv1.2" });
      return this.port;
    }
    const limits = { headersTimeout: 5_000, requestTimeout: 10_000, maxHeaderSize: 16_384 };
    const server = createServer(
      { ...pair, ...limits, minVersion: "TLSv1.2" },
      (req, res) => void this.#serve(req, res),
    );
    server.maxConnections = MAX_CONNECTIONS;
    this.#server = server;
    await listen(server, this.#options.port, this.#options.host);
    return this.port;
  }

  get port(): number {
    const address = this.#server?.address();
    return typeof address === "object" && address ? address.port : 0;
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  }

  async #serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    if (req.method !== "POST" || req.url?.split("?", 1)[0] !== "/evictions") {
      answer(res, 404, { error: "see POST /evictions" });
      return;
    }
    try {
      const body = await readBody(req);
      const request = body === undefined ? undefined : parseReview(body);
      if (!request) answer(res, 400, { error: "no AdmissionReview of pods/eviction" });
      else answer(res, 200, reviewReply(request.uid, await this.#options.refuse(request)));
    } catch (thrown) {
      // The API server goes on without an answer, and the disruption budget decides.
      this.#options.log.warn({ err: toImError(thrown) }, "eviction not answered");
      if (!res.headersSent) answer(res, 500, { error: "internal" });
    }
  }
}

/** `undefined` when it is too large. */
async function readBody(req: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of req) {
    bytes += (chunk as Buffer).length;
    if (bytes > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function answer(res: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  res.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  res.end(text);
}
