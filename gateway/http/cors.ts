// SPDX-License-Identifier: Apache-2.0
import type { IncomingMessage, ServerResponse } from "node:http";
import { isAllowedOrigin } from "../listen/origin.ts";

/** Request and answer headers of the HTTP carrier. */
export const LEASE_HEADER = "im-lease";
export const CURSOR_HEADER = "im-cursor";
export const CLOSE_HEADER = "im-close";

const PREFLIGHT_SECONDS = "7200";

/**
 * Who may call from a browser: pages of the same host, and of the origins that are listed. There are no cookies, so an
 * allowed page has no power of its own: it must bring a token or a lease.
 * False: the origin is a stranger, and was told nothing.
 */
export function allowOrigin(request: IncomingMessage, response: ServerResponse, allowed: ReadonlySet<string>): boolean {
  const { origin, host } = request.headers;
  if (origin === undefined) return true;
  if (!allowed.has(origin)) return isAllowedOrigin(origin, host, allowed);
  response.setHeader("access-control-allow-origin", origin);
  response.setHeader(
    "access-control-expose-headers",
    `${LEASE_HEADER}, ${CURSOR_HEADER}, ${CLOSE_HEADER}, retry-after`,
  );
  response.setHeader("vary", "origin");
  return true;
}

/** Answers the question of a browser whether it may send the request. */
export function answerPreflight(response: ServerResponse): void {
  response.writeHead(204, {
    "access-control-allow-methods": "POST",
    "access-control-allow-headers": `content-type, prefer, ${LEASE_HEADER}, ${CURSOR_HEADER}`,
    "access-control-max-age": PREFLIGHT_SECONDS,
  });
  response.end();
}
