// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { Command } from "#proto/commands.ts";
import type { SocketLane } from "./lanes.ts";

/** Of the cases of a lane at least so many must get there, or the fuzzer only knocks at the door. */
export const MIN_DEPTH: Readonly<Record<SocketLane, number>> = {
  frames: 0.4,
  websocket: 0.25,
  json: 0.4,
  http: 0.15,
  carrier: 0.12,
  first: 0,
  proxy: 0.03,
  tls: 0.05,
};
/** Fewer cases say nothing. */
const MIN_CASES = 200;
const STATUS = /HTTP\/1\.1 (\d{3}) /g;
/** Statuses of the carrier from behind the check of the lease, or of a login. */
const PROVEN: readonly string[] = ["200", "204", "409", "410", "429"];
/** Of the parser and the rules of requests: the request became nothing. */
const UNREAD: readonly string[] = ["400", "431"];
const TLS_HANDSHAKE = 0x16;
/** A whole binary message. */
const BINARY = 0x82;

/**
 * Did this client get past the parser, by what the entry wrote? Frames: it logged in. HTTP: the request was read. Carrier: its
 * lease counted, or it logged in. TLS: the entry went on with the handshake. @param text Latin-1
 */
export function isDeep(lane: SocketLane, text: string): boolean {
  switch (lane) {
    case "frames":
    case "first":
    case "proxy":
      return hasWelcome(Buffer.from(text, "latin1"));
    case "websocket":
      return hasWelcome(messagesIn(text));
    case "json":
      return text.includes('"cmd":"WELCOME"');
    case "http":
      return statusesIn(text).some((status) => !UNREAD.includes(status));
    case "carrier":
      return statusesIn(text).some((status) => PROVEN.includes(status));
    case "tls":
      return text.charCodeAt(0) === TLS_HANDSHAKE;
  }
}

function statusesIn(text: string): string[] {
  return [...text.matchAll(STATUS)].map((match) => match[1] ?? "");
}

/** Is WELCOME among these frames? The entry writes well: what is no frame ends the search. */
function hasWelcome(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; ) {
    const { value: length, end } = varintAt(bytes, at);
    if (bytes[end] === 0x08 && bytes[end + 1] === Command.WELCOME) return true;
    at = end + length;
    if (length === 0) return false;
  }
  return false;
}

function varintAt(bytes: Buffer, at: number): { value: number; end: number } {
  let value = 0;
  let end = at;
  for (let scale = 1; end < bytes.length; scale *= 128) {
    const byte = bytes[end++] ?? 0;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) break;
  }
  return { value, end };
}

/** Payloads of the binary messages behind the answer to an upgrade; the server masks nothing and breaks nothing up. */
function messagesIn(text: string): Buffer {
  const head = text.indexOf("\r\n\r\n");
  if (head < 0 || !text.startsWith("HTTP/1.1 101 ")) return Buffer.alloc(0);
  const bytes = Buffer.from(text.slice(head + 4), "latin1");
  const payloads: Buffer[] = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    const { start, length } = payloadAt(bytes, at);
    if (bytes[at] === BINARY) payloads.push(bytes.subarray(start, start + length));
    at = start + length;
  }
  return Buffer.concat(payloads);
}

/** Of the message at `at`; the entry writes none of 64 KiB here. */
function payloadAt(bytes: Buffer, at: number): { start: number; length: number } {
  const short = (bytes[at + 1] ?? 0) & 0x7f;
  return short < 126
    ? { start: at + 2, length: short }
    : { start: at + 4, length: bytes.readUInt16BE(Math.min(at + 2, bytes.length - 2)) };
}

/** Cases and deep ones, by lane. */
export class Depth {
  readonly #counts = new Map<SocketLane, { cases: number; deep: number }>();

  /** Of one case; `text` as in {@link isDeep}. */
  add(lane: SocketLane, text: string): void {
    const count = this.#counts.get(lane) ?? { cases: 0, deep: 0 };
    count.cases++;
    if (isDeep(lane, text)) count.deep++;
    this.#counts.set(lane, count);
  }

  /** Share of deep cases by lane, two digits. */
  shares(): Partial<Record<SocketLane, number>> {
    return Object.fromEntries(
      [...this.#counts].map(([lane, { cases, deep }]) => [lane, Math.round((deep * 100) / cases) / 100]),
    );
  }

  /** Lanes that hardly get anywhere, each as text. */
  shallow(except: readonly SocketLane[] = []): string[] {
    return [...this.#counts].flatMap(([lane, { cases, deep }]) =>
      cases >= MIN_CASES && !except.includes(lane) && deep < cases * MIN_DEPTH[lane]
        ? [`${lane}: ${deep} of ${cases} cases got past the parser, fewer than ${MIN_DEPTH[lane] * 100} %`]
        : [],
    );
  }
}
