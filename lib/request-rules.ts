// SPDX-License-Identifier: Apache-2.0
import type { IncomingHttpHeaders } from "node:http";

/** A request as node:http parsed it. */
export interface ParsedRequest {
  httpVersion: string;
  headers: IncomingHttpHeaders;
  /** Names and values in turn, as they came. */
  rawHeaders: readonly string[];
}

const MAX_HEADERS = 64;
/** Of these, two parsers might each believe another one. */
const ONCE: ReadonlySet<string> = new Set([
  "host",
  "content-length",
  "transfer-encoding",
  "origin",
  "sec-websocket-key",
]);

/**
 * What a strict reader refuses and node:http does not: the status to answer with, and to close after. Undefined: fine.
 * Whatever leaves open where a request ends, or whom it is for, is refused: somebody before us may have read it otherwise.
 */
export function requestFault(request: ParsedRequest, isUpgrade: boolean): 400 | 431 | undefined {
  const { rawHeaders, headers } = request;
  if (rawHeaders.length > MAX_HEADERS * 2) return 431;
  const seen = new Set<string>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? "").toLowerCase();
    if (!ONCE.has(name)) continue;
    if (seen.has(name)) return 400;
    seen.add(name);
  }
  const encoding = headers["transfer-encoding"];
  const length = headers["content-length"];
  if (encoding !== undefined && (encoding !== "chunked" || length !== undefined)) return 400;
  if (encoding !== undefined && request.httpVersion !== "1.1") return 400;
  const hasBody = encoding !== undefined || (length !== undefined && length !== "0");
  return isUpgrade && hasBody ? 400 : undefined;
}
