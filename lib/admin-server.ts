// SPDX-License-Identifier: Apache-2.0
import type { IncomingMessage, ServerResponse } from "node:http";
import { listen } from "./listen.ts";
import { type Metrics, OPENMETRICS_CONTENT_TYPE } from "./metrics.ts";
import { createServer } from "./node-http.ts";

/** Options of {@link startAdminServer}. */
export interface AdminServerOptions {
  /** 0 = any free port. */
  port: number;
  /** All interfaces by default: the kubelet and the scraper come from outside the pod. */
  host?: string;
  metrics: Metrics;
  /** Ready for new work; `/readyz` answers 503 while false. */
  isReady(): boolean;
  /** Alive; `/livez` answers 503 while false. Always alive by default. */
  isLive?(): boolean;
  /** State for people, served as JSON under `/debug`. Must hold no secret. */
  debug?: () => object;
}

export interface AdminServer {
  port: number;
  /** Stops listening and ends open requests. */
  close(): Promise<void>;
}

/** Plain HTTP for kubelet, Prometheus and people: `/livez`, `/readyz`, `/metrics`, `/debug`. GET and HEAD only. */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const server = createServer({ headersTimeout: 10_000, requestTimeout: 15_000, maxHeaderSize: 8192 }, (req, res) => {
    if (req.method !== "GET" && req.method !== "HEAD") {
      answer(res, 405, "method not allowed");
      return;
    }
    route((req.url ?? "/").split("?", 1)[0] ?? "/", req, res, options);
  });
  const port = await listen(server, options.port, options.host);
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function route(path: string, req: IncomingMessage, res: ServerResponse, options: AdminServerOptions): void {
  switch (path) {
    case "/livez":
      check(res, options.isLive?.() ?? true);
      return;
    case "/readyz":
      check(res, options.isReady());
      return;
    case "/metrics":
      renderFor(req.headers.accept, options.metrics).then(
        ([text, contentType]) => answer(res, 200, text, contentType),
        (error: unknown) => answer(res, 500, String(error)),
      );
      return;
    case "/debug":
      answer(res, 200, JSON.stringify(options.debug?.() ?? {}, undefined, 2), "application/json");
      return;
    default:
      answer(res, 404, "see /livez /readyz /metrics /debug");
  }
}

/** OpenMetrics for whoever says that it reads it, as Prometheus does. */
async function renderFor(accept = "", metrics: Metrics): Promise<[text: string, contentType: string]> {
  return accept.includes("application/openmetrics-text")
    ? [await metrics.renderOpenMetrics(), OPENMETRICS_CONTENT_TYPE]
    : [await metrics.render(), metrics.contentType];
}

function check(res: ServerResponse, ok: boolean): void {
  answer(res, ok ? 200 : 503, ok ? "ok" : "not ready");
}

function answer(res: ServerResponse, status: number, text: string, contentType = "text/plain; charset=utf-8"): void {
  res.writeHead(status, { "content-type": contentType, "content-length": Buffer.byteLength(text) });
  res.end(text);
}
