// SPDX-License-Identifier: Apache-2.0
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import { toImError } from "#lib/errors.ts";
import { listen } from "#lib/listen.ts";
import type { Logger } from "#lib/logger.ts";
import { parseReview, type Review, reviewReply, type Verdict } from "./review.ts";

/** A review has an object twice. An eviction is about 2 KiB, an ImCluster with its status some tens of them. */
const MAX_BODY_BYTES = 1024 * 1024;
const MAX_CONNECTIONS = 200;

/** `undefined`: it is not for this path. A fault leaves the question unanswered. */
export type AnswerReview = (review: Review) => Promise<Verdict | undefined> | Verdict | undefined;

export interface AdmissionServerOptions {
  /** 0 = any free port. */
  port: number;
  host?: string;
  /** By path. */
  answers: Readonly<Record<string, AnswerReview>>;
  log: Logger;
}

/** HTTPS for the API server: POST of an AdmissionReview. Other paths are answered 404, what is no review of theirs 400. */
export class AdmissionServer {
  readonly #options: AdmissionServerOptions;
  readonly #answers: ReadonlyMap<string, AnswerReview>;
  #server: Server | undefined;

  constructor(options: AdmissionServerOptions) {
    this.#options = options;
    this.#answers = new Map(Object.entries(options.answers));
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
    const path = req.url?.split("?", 1)[0] ?? "";
    const decide = this.#answers.get(path);
    if (req.method !== "POST" || !decide) {
      answer(res, 404, { error: `see POST ${[...this.#answers.keys()].join(", ")}` });
      return;
    }
    try {
      const body = await readBody(req);
      const review = body === undefined ? undefined : parseReview(body);
      const verdict = review && (await decide(review));
      if (!review || !verdict) answer(res, 400, { error: `no AdmissionReview for ${path}` });
      else answer(res, 200, reviewReply(review.uid, verdict));
    } catch (thrown) {
      // The API server goes on without an answer: evictions by the disruption budget, updates without a warning.
      this.#options.log.warn({ err: toImError(thrown), path }, "admission review not answered");
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
