// SPDX-License-Identifier: Apache-2.0
import { Buffer } from "node:buffer";
import { upgradeRequest } from "../../gateway/testing/ws-frame.ts";
import type { Random } from "../sim/random.ts";
import { cut, type FuzzCase, mutate, randomBytes } from "./input.ts";

const METHODS = [
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "OPTIONS",
  "CONNECT",
  "TRACE",
  "PRI",
  "get",
  "GE T",
  "M-SEARCH",
  "X".repeat(300),
];
const TARGETS = [
  "/",
  "/healthz",
  "/ws",
  "/ws?token=x",
  "/demo/",
  "/demo/../../../etc/passwd",
  "/demo/%2e%2e%2f%2e%2e%2fetc/passwd",
  "/demo/%00",
  "/demo/%",
  "//evil.example.com/",
  "http://evil.example.com/ws",
  "*",
  "",
  "/a b",
  "/\u0000",
  `/${"a".repeat(9000)}`,
  "evil.example.com:443",
];
const VERSIONS = ["HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/1.10", "http/1.1", "HTTP/1.1 ", ""];

/** Header lines that parsers have disagreed about. */
export const HEADER_LINES = [
  "Content-Length: 5",
  "Content-Length: 5, 5",
  "Content-Length: +5",
  "Content-Length: -1",
  "Content-Length: 0x5",
  "Content-Length: 99999999999999999999",
  "Content-Length : 5",
  "Content-Length:\t5",
  "Transfer-Encoding: chunked",
  "Transfer-Encoding : chunked",
  "Transfer-Encoding: xchunked",
  "Transfer-Encoding: chunked, identity",
  "Transfer-Encoding: identity",
  "Transfer-Encoding:\u000bchunked",
  " Transfer-Encoding: chunked",
  "Transfer-Encoding:\r\n chunked",
  "X: y\nTransfer-Encoding: chunked",
  "X: y\rContent-Length: 5",
  "X:\u0000y",
  "Expect: 100-continue",
  "Expect: 200-ok",
  "Connection: keep-alive",
  "Connection: close, upgrade",
  "Connection: Content-Length",
  "Host: other.example.com",
  "Host:",
  "Host: a@b",
  "Upgrade: h2c",
  "Upgrade: websocket",
  "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
  "Origin: null",
  "Origin: https://evil.example.com",
  "Sec-WebSocket-Key: short",
  "Sec-WebSocket-Version: 99",
  "Sec-WebSocket-Protocol: ,,,",
  "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=99",
  `Sec-WebSocket-Extensions: ${" ".repeat(4000)}x`,
  `Sec-WebSocket-Protocol: ${"a,".repeat(2000)}`,
  `X-Long: ${"x".repeat(9000)}`,
  "__proto__: polluted",
  "constructor: polluted",
  ": empty name",
  "no colon",
  "\u00e9: latin",
];
const BODIES = [
  "",
  "hello",
  "5\r\nhello\r\n0\r\n\r\n",
  "0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
  "5;ext=1\r\nhello\r\n0\r\nX: y\r\n\r\n",
  "FFFFFFFFFFFFFFFF\r\nx",
  "-1\r\n",
  "5\nhello\n0\n\n",
];

function requestText(random: Random): string {
  const lines = [`${random.pick(METHODS)} ${random.pick(TARGETS)} ${random.pick(VERSIONS)}`];
  if (random.chance(0.8)) lines.push("Host: im.example.com");
  const count = random.chance(0.05) ? random.int(60, 400) : random.int(0, 6);
  for (let i = 0; i < count; i++) lines.push(random.pick(HEADER_LINES));
  const eol = random.chance(0.05) ? random.pick(["\n", "\r", "\n\r"]) : "\r\n";
  return lines.join(eol) + eol + eol + random.pick(BODIES);
}

function plainRequest(random: Random): string {
  const method = random.pick(["GET", "HEAD", "POST"]);
  const lines = [`${method} ${random.pick(TARGETS.slice(0, 8))} HTTP/1.1`, "Host: im.example.com"];
  for (let i = random.pick([0, 0, 1, 2]); i > 0; i--) lines.push(random.pick(HEADER_LINES));
  return `${lines.join("\r\n")}\r\n\r\n${random.pick(BODIES)}`;
}

/** One HTTP request, or several in one write; only the first may be answered. */
export function httpCase(random: Random): FuzzCase {
  const more = Array.from({ length: random.pick([0, 0, 1, 3]) }, () => random.pick(HEADER_LINES));
  const text = random.weighted({ strange: 3, upgrade: 3, plain: 4 });
  const first =
    text === "strange" ? requestText(random) : text === "upgrade" ? upgradeRequest(more) : plainRequest(random);
  let bytes: Buffer = Buffer.from(first, "latin1");
  if (random.chance(0.5)) bytes = mutate(bytes, random);
  if (random.chance(0.2)) bytes = Buffer.concat([bytes, Buffer.from(plainRequest(random), "latin1")]);
  if (random.chance(0.1)) bytes = Buffer.concat([bytes, randomBytes(random, random.int(1, 100))]);
  return { chunks: cut(bytes, random), inputs: 1 };
}
