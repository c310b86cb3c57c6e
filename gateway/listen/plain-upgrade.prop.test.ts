// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { createServer, type IncomingMessage } from "node:http";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { requestFault } from "#lib/request-rules.ts";
import { MemorySocket } from "../../e2e/fuzz/memory-socket.ts";
import { upgradeRequest } from "../testing/ws-frame.ts";
import { readPlainUpgrade } from "./plain-upgrade.ts";
import { readUpgrade } from "./ws-upgrade.ts";

/** What node:http and the rules for requests make of it; undefined: not an upgrade that is granted. */
async function readByNode(bytes: Buffer) {
  const server = createServer({ maxHeaderSize: 8192 }, (_request, response) => response.end());
  server.maxHeadersCount = 0;
  let upgraded: { request: IncomingMessage; rest: Buffer } | undefined;
  server.on("upgrade", (request, _socket, rest: Buffer) => {
    upgraded = { request, rest };
  });
  server.on("clientError", (_error, socket) => socket.destroy());
  const socket = new MemorySocket();
  server.emit("connection", socket.asSocket);
  socket.push(Buffer.from(bytes));
  for (let i = 0; i < 5 && !upgraded; i++) await turn();
  socket.destroy();
  server.close();
  if (upgraded?.request.url !== "/ws" || requestFault(upgraded.request, true) !== undefined) return undefined;
  const { method, headers } = upgraded.request;
  const upgrade = readUpgrade(method, headers);
  if (typeof upgrade === "number") return undefined;
  return { upgrade, origin: headers.origin, host: headers.host, rest: upgraded.rest.toString("hex") };
}

const LINES = [
  "Host: im.example.com",
  "host: other.example.com",
  "Upgrade: websocket",
  "Upgrade: WebSocket",
  "Upgrade: h2c",
  "Connection: Upgrade",
  "connection: keep-alive, Upgrade",
  "Connection: close, upgrade",
  "Connection: upgraded",
  "Connection: keep-alive",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Key:dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Protocol: im.v1.json, im.v1",
  "Sec-WebSocket-Protocol: ,",
  "Sec-WebSocket-Extensions: permessage-deflate",
  "Origin: https://app.example.com",
  "Origin: null",
  "Content-Length: 0",
  "Content-Length: 5",
  "Transfer-Encoding: chunked",
  "Expect: 100-continue",
  "User-Agent: x y  z",
  "X-Empty:",
  "X-Space : y",
  " folded",
  "\tfolded",
  "X-Latin: \u00e9",
  "X-Control: a\u0001b",
  "X-Line: a\nX-Other: b",
  "X-Return: a\rb",
  "__proto__: x",
  "",
];
const BASE = upgradeRequest().split("\r\n").slice(1, -2);

const HARMLESS = LINES.filter((line) =>
  /^(Origin|User-Agent|Sec-WebSocket-(Extensions|Protocol: im)|__proto__)/.test(line),
);

const heads = fc
  .record({
    drop: fc.option(fc.nat(BASE.length - 1), { freq: 6 }),
    harmless: fc.uniqueArray(fc.constantFrom(...HARMLESS), { maxLength: 3 }),
    more: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, fc.array(fc.constantFrom(...LINES), { maxLength: 2 })),
    at: fc.nat(8),
    line: fc.oneof(
      { weight: 8, arbitrary: fc.constant("GET /ws HTTP/1.1") },
      fc.constantFrom("GET /ws HTTP/1.0", "POST /ws HTTP/1.1", "GET  /ws HTTP/1.1", "GET /ws?x HTTP/1.1"),
    ),
    rest: fc.uint8Array({ maxLength: 8 }),
    /** One byte that is another one. */
    bent: fc.option(fc.tuple(fc.nat(200), fc.nat(255)), { freq: 1 }),
  })
  .map(({ drop, harmless, more, at, line, rest, bent }) => {
    const lines = BASE.filter((_, i) => i !== drop);
    lines.splice(at, 0, ...harmless, ...more);
    const bytes = Buffer.concat([Buffer.from(`${[line, ...lines].join("\r\n")}\r\n\r\n`, "latin1"), rest]);
    if (bent) bytes[bent[0] % bytes.length] = bent[1];
    return bytes;
  });

describe("an upgrade that is read without node:http", () => {
  it("is one for node:http, too, with the same answer, origin, host and rest", async () => {
    let taken = 0;
    await fc.assert(
      fc.asyncProperty(heads, async (bytes) => {
        const plain = readPlainUpgrade(bytes);
        if (!plain) return;
        taken++;
        assert.deepEqual({ ...plain, rest: plain.rest.toString("hex") }, await readByNode(bytes));
      }),
      { numRuns: 4000 },
    );
    assert.ok(taken > 300, `${taken} were plain`);
  });

  it("is what browsers and libraries send", () => {
    const browser = upgradeRequest([
      "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
      "Origin: https://app.example.com",
      "Pragma: no-cache",
      "Cache-Control: no-cache",
      "Accept-Encoding: gzip, deflate, br, zstd",
      "Accept-Language: zh-CN,zh;q=0.9",
      "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
      "Sec-WebSocket-Protocol: im.v1",
    ]);
    const plain = readPlainUpgrade(
      Buffer.from(browser.replace("Connection: Upgrade", "Connection: keep-alive, Upgrade")),
    );
    assert.deepEqual(
      [plain?.upgrade.protocol, plain?.origin, plain?.host],
      ["im.v1", "https://app.example.com", "im.example.com"],
    );
  });

  it("may come with messages behind it, but not in pieces", () => {
    const request = Buffer.from(upgradeRequest());
    const plain = readPlainUpgrade(Buffer.concat([request, Buffer.from("rest")]));
    assert.equal(String(plain?.rest), "rest");
    for (let length = 0; length < request.length; length++)
      assert.equal(readPlainUpgrade(request.subarray(0, length)), undefined);
  });

  it("has at most 64 headers and 4 KiB", () => {
    const lines = (count: number): string[] => Array.from({ length: count }, (_, i) => `X-${i}: y`);
    assert.ok(readPlainUpgrade(Buffer.from(upgradeRequest(lines(59)))));
    assert.equal(readPlainUpgrade(Buffer.from(upgradeRequest(lines(60)))), undefined);
    assert.equal(readPlainUpgrade(Buffer.from(upgradeRequest([`X: ${"y".repeat(4096)}`]))), undefined);
  });
});
