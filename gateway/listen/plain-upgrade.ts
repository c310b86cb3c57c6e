// SPDX-License-Identifier: Apache-2.0
import type { Buffer } from "node:buffer";
import { readUpgrade, type Upgrade } from "./ws-upgrade.ts";

/** A request for a WebSocket that is granted as far as its head goes. */
export interface PlainUpgrade {
  readonly upgrade: Upgrade;
  readonly origin: string | undefined;
  readonly host: string;
  /** What came behind the head. */
  readonly rest: Buffer;
}

const REQUEST_LINE = "GET /ws HTTP/1.1\r\n";
const END = "\r\n\r\n";
const MAX_HEAD_BYTES = 4096;
const MAX_HEADERS = 64;
/** Printable ASCII, at most one space before the value and none behind it, and a value there must be. */
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)$/;
const ASKS_UPGRADE = /(?:^|,)[ ]*upgrade[ ]*(?:,|$)/i;
/** With these a request may have a body, or another meaning. */
const NOT_PLAIN = ["content-length", "transfer-encoding", "expect", "te", "trailer", "http2-settings"];

/**
 * Reads a request for a WebSocket without node:http, whose parser, request and listeners cost a connection a third of its login and leave
 * the socket larger for good. Takes only what leaves nothing to ask: the whole head in the first packet, in the plainest form, and
 * acceptable. Undefined: node:http reads it and says what is wrong, if anything is.
 */
export function readPlainUpgrade(bytes: Buffer): PlainUpgrade | undefined {
  if (bytes.toString("latin1", 0, REQUEST_LINE.length) !== REQUEST_LINE) return undefined;
  const end = bytes.indexOf(END);
  if (end < REQUEST_LINE.length || end > MAX_HEAD_BYTES) return undefined;
  const headers = readHeaders(bytes.toString("latin1", REQUEST_LINE.length, end).split("\r\n"));
  if (headers?.host === undefined || !ASKS_UPGRADE.test(headers.connection ?? "")) return undefined;
  const upgrade = readUpgrade("GET", headers);
  if (typeof upgrade === "number") return undefined;
  return { upgrade, origin: headers.origin, host: headers.host, rest: bytes.subarray(end + END.length) };
}

/** By name in lower case. Undefined when one is not plain, or comes twice. */
function readHeaders(lines: readonly string[]): Record<string, string> | undefined {
  if (lines.length > MAX_HEADERS) return undefined;
  const headers: Record<string, string> = Object.create(null);
  for (const line of lines) {
    const [, written, value] = HEADER.exec(line) ?? [];
    const name = written?.toLowerCase();
    if (name === undefined || value === undefined || name in headers || NOT_PLAIN.includes(name)) return undefined;
    headers[name] = value;
  }
  return headers;
}
