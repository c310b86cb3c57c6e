// SPDX-License-Identifier: Apache-2.0
import { hash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";

/** Binary messages of frames; a client that offers nothing gets the same. */
export const SUBPROTOCOL = "im.v1";
/** Text messages, each a frame in JSON. */
export const JSON_SUBPROTOCOL = "im.v1.json";

/** What a request for a WebSocket came to: the whole answer, and the subprotocol that it names ("" = none). */
export interface Upgrade {
  readonly answer: string;
  readonly protocol: string;
}

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/** 16 bytes in base64. */
const KEY = /^[+/0-9A-Za-z]{22}==$/;
const TOKEN_LIST = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:[ \t]*,[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+)*$/;
/** Of RFC 6455. Version 8, its last draft, told the origin by another header. */
const VERSION = "13";

/** Reads a request for a WebSocket: the status to refuse it with, or the answer. Nothing is ever compressed. */
export function readUpgrade(method: string | undefined, headers: IncomingHttpHeaders): Upgrade | 400 | 405 {
  const key = headers["sec-websocket-key"];
  if (method !== "GET") return 405;
  if (headers.upgrade?.toLowerCase() !== "websocket") return 400;
  if (key === undefined || !KEY.test(key) || headers["sec-websocket-version"] !== VERSION) return 400;
  const protocol = chooseProtocol(headers["sec-websocket-protocol"]);
  if (protocol === undefined) return 400;
  const accept = hash("sha1", key + GUID, "base64");
  const chosen = protocol === "" ? "" : `Sec-WebSocket-Protocol: ${protocol}\r\n`;
  const answer = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${chosen}\r\n`;
  return { answer, protocol };
}

/** The first that the client names and we know, since its order is its wish; "" = none. Undefined: the header is wrong. */
function chooseProtocol(offer: string | undefined): string | undefined {
  if (offer === undefined) return "";
  if (!TOKEN_LIST.test(offer)) return undefined;
  const names = offer.split(",").map((name) => name.trim());
  if (new Set(names).size < names.length) return undefined;
  return names.find((name) => name === SUBPROTOCOL || name === JSON_SUBPROTOCOL) ?? "";
}
