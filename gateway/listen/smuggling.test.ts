// SPDX-License-Identifier: Apache-2.0
// Requests about whose length two parsers may disagree: each gets one 400 and the end of the connection.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { startReadyEntry } from "../testing/entry-kit.ts";
import { FakeLogic } from "../testing/fake-logic.ts";
import { statusesOf } from "../testing/raw-socket.ts";

const INNER = "GET /healthz HTTP/1.1\r\nHost: inner\r\n\r\n";
const CHUNKED = "5\r\nhello\r\n0\r\n\r\n";

/** A POST of `lines` with `body`, followed by another request. */
function post(lines: readonly string[], body: string, method = "POST", version = "HTTP/1.1"): string {
  return `${method} / ${version}\r\nHost: im.example.com\r\n${lines.join("\r\n")}\r\n\r\n${body}${INNER}`;
}

const TE = "Transfer-Encoding: chunked";
const CL = "Content-Length: 5";

const SHAPES: Readonly<Record<string, string>> = {
  "CL.TE": post([CL, TE], CHUNKED),
  "TE.CL": post([TE, CL], CHUNKED),
  "CL.TE on GET": post([CL, TE], CHUNKED, "GET"),
  "CL 0 and TE": post(["Content-Length: 0", TE], CHUNKED),
  "two lengths that differ": post([CL, "Content-Length: 6"], "hello"),
  "two lengths that agree": post([CL, CL], "hello"),
  "a list of lengths": post(["Content-Length: 5, 5"], "hello"),
  "a list of lengths that differ": post(["Content-Length: 5, 6"], "hello"),
  "a length with a sign": post(["Content-Length: +5"], "hello"),
  "a negative length": post(["Content-Length: -5"], "hello"),
  "a hexadecimal length": post(["Content-Length: 0x5"], "hello"),
  "a length with a point": post(["Content-Length: 5.0"], "hello"),
  "a length with a space in it": post(["Content-Length: 5 5"], "hello"),
  "a length with letters": post(["Content-Length: 5x"], "hello"),
  "an empty length": post(["Content-Length: "], "hello"),
  "a length beyond 64 bits": post(["Content-Length: 99999999999999999999"], "hello"),
  "a space before the colon of the length": post(["Content-Length : 5"], "hello"),
  "a tab before the colon of the encoding": post(["Transfer-Encoding\t: chunked"], CHUNKED),
  "a space before the name": post(["X: y", " Transfer-Encoding: chunked", CL], "hello"),
  "a folded encoding": post(["Transfer-Encoding:\r\n chunked", CL], CHUNKED),
  "an encoding that is not chunked": post(["Transfer-Encoding: xchunked"], CHUNKED),
  "chunked and not last": post(["Transfer-Encoding: chunked, identity"], CHUNKED),
  "identity as encoding": post(["Transfer-Encoding: identity"], "hello"),
  "gzip before chunked": post(["Transfer-Encoding: gzip, chunked"], CHUNKED),
  "chunked twice": post([TE, TE], CHUNKED),
  "chunked in quotes": post(['Transfer-Encoding: "chunked"'], CHUNKED),
  "chunked with a vertical tab": post(["Transfer-Encoding:\u000bchunked"], CHUNKED),
  "chunked with a NUL": post(["Transfer-Encoding: chunked\u0000"], CHUNKED),
  "chunked in HTTP/1.0": post([TE], CHUNKED, "POST", "HTTP/1.0"),
  "a bare LF in the head": post(["X: y\nTransfer-Encoding: chunked"], CHUNKED),
  "a bare CR in the head": post(["X: y\rTransfer-Encoding: chunked"], CHUNKED),
  "bare LFs throughout": "POST / HTTP/1.1\nHost: x\nContent-Length: 0\n\n",
  "a bare LF after the request line": "GET /healthz HTTP/1.1\nHost: x\r\n\r\n",
  "a NUL in a header": post(["X: a\u0000b"], ""),
  "a name with a NUL": post(["X\u0000Y: b"], ""),
  "a name with a space": post(["X Y: b"], ""),
  "an empty name": post([": b"], ""),
  "a line without colon": post(["nonsense"], ""),
  "two hosts": "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
  "no host": "GET /healthz HTTP/1.1\r\nX: y\r\n\r\n",
  "a version that does not exist": "GET /healthz HTTP/1.2\r\nHost: x\r\n\r\n",
  "a tab in the request line": "GET\t/healthz HTTP/1.1\r\nHost: x\r\n\r\n",
  "a space in the target": "GET /health z HTTP/1.1\r\nHost: x\r\n\r\n",
  "HTTP/2 without asking": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
};

/** Bodies in chunks that are none. */
const BAD_CHUNKS: Readonly<Record<string, string>> = {
  "a size with a sign": "+5\r\nhello\r\n0\r\n\r\n",
  "a negative size": "-5\r\nhello\r\n0\r\n\r\n",
  "a size with 0x": "0x5\r\nhello\r\n0\r\n\r\n",
  "a size beyond 64 bits": "FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
  "a bare LF after the size": "5\nhello\r\n0\r\n\r\n",
  "no CRLF after the data": "5\r\nhelloX0\r\n\r\n",
  "a space before the size": " 5\r\nhello\r\n0\r\n\r\n",
  "an empty size": "\r\nhello\r\n0\r\n\r\n",
};

describe("request smuggling", () => {
  let entry: Awaited<ReturnType<typeof startReadyEntry>>;
  let logic: FakeLogic;
  before(async () => {
    logic = await FakeLogic.start();
    entry = await startReadyEntry([logic.target]);
  });
  after(async () => {
    await entry.close();
    await logic.close();
  });

  it("knows enough shapes", () => assert.ok(Object.keys(SHAPES).length + Object.keys(BAD_CHUNKS).length >= 50));

  for (const [what, request] of Object.entries(SHAPES)) {
    it(`refuses ${what}`, async () => assert.deepEqual(await statusesOf(entry.plainPort, request), [400]));
  }

  for (const [what, body] of Object.entries(BAD_CHUNKS)) {
    it(`answers a body in chunks with ${what} once at most`, async () => {
      const statuses = await statusesOf(entry.plainPort, post([TE], body));
      // The head alone may be answered before the body comes.
      assert.ok(statuses.length === 1 && [400, 405].includes(statuses[0] ?? 0), String(statuses));
    });
  }

  it("answers one request of a connection, whatever follows it", async () => {
    const get = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    assert.deepEqual(await statusesOf(entry.plainPort, get + get), [200]);
    assert.deepEqual(await statusesOf(entry.plainPort, `${get}GARBAGE\r\n\r\n`), [200]);
    assert.deepEqual(await statusesOf(entry.plainPort, post([CL], "hello")), [405]);
    const upgrade = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert.deepEqual(await statusesOf(entry.plainPort, get + upgrade), [200]);
  });

  it("an unknown expectation ends the connection", async () => {
    assert.deepEqual(
      await statusesOf(entry.plainPort, "GET / HTTP/1.1\r\nHost: x\r\nExpect: 200-ok\r\n\r\nrest"),
      [417],
    );
  });

  const upgrade = (lines: readonly string[], body = ""): string =>
    `${["GET /ws HTTP/1.1", "Host: x", ...lines].join("\r\n")}\r\n\r\n${body}`;
  const WS = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"];
  const KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
  const BAD_UPGRADES: Readonly<Record<string, [string, number]>> = {
    "an upgrade with a body": [upgrade([...WS, KEY, CL], "hello"), 400],
    "an upgrade with a body in chunks": [upgrade([...WS, KEY, TE], CHUNKED), 400],
    "an upgrade by POST": [upgrade([...WS, KEY]).replace("GET", "POST"), 405],
    "an upgrade without a key": [upgrade(WS), 400],
    "an upgrade with a short key": [upgrade([...WS, "Sec-WebSocket-Key: short"]), 400],
    "an upgrade with two keys": [upgrade([...WS, KEY, KEY]), 400],
    "another version": [upgrade(["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 99", KEY]), 400],
    "no version": [upgrade(["Upgrade: websocket", "Connection: Upgrade", KEY]), 400],
    "an upgrade to h2c": [
      upgrade(["Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABk"]),
      400,
    ],
    "an upgrade to TLS": [upgrade(["Upgrade: TLS/1.0", "Connection: Upgrade"]), 400],
    "an upgrade elsewhere": [upgrade([...WS, KEY]).replace("/ws", "/chat"), 404],
    "a bad subprotocol": [upgrade([...WS, KEY, "Sec-WebSocket-Protocol: ,,"]), 400],
  };
  for (const [what, [request, status]] of Object.entries(BAD_UPGRADES)) {
    it(`refuses ${what} with ${status}`, async () =>
      assert.deepEqual(await statusesOf(entry.plainPort, request), [status]));
  }

  it("bounds headers by number and by bytes", async () => {
    const many = (count: number): string => Array.from({ length: count }, (_, i) => `X-${i}: y`).join("\r\n");
    const get = (lines: string): string => `GET /healthz HTTP/1.1\r\nHost: x\r\n${lines}\r\n\r\n`;
    assert.deepEqual(await statusesOf(entry.plainPort, get(many(60))), [200]);
    assert.deepEqual(await statusesOf(entry.plainPort, get(many(65))), [431]);
    assert.deepEqual(await statusesOf(entry.plainPort, get(many(400))), [431]);
    assert.deepEqual(await statusesOf(entry.plainPort, get(`X: ${"y".repeat(7000)}`)), [200]);
    assert.deepEqual(await statusesOf(entry.plainPort, get(`X: ${"y".repeat(9000)}`)), [431]);
    assert.deepEqual(await statusesOf(entry.plainPort, `GET /${"y".repeat(9000)} HTTP/1.1\r\nHost: x\r\n\r\n`), [431]);
  });
});
