// SPDX-License-Identifier: Apache-2.0
// Requests about whose length two parsers may disagree: each gets one 400 and the end of the connection.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { startReadyEntry } from "../testing/entry-kit.ts";
import { FakeLogic } from "../testing/fake-logic.ts";
import { statusesOf } from "../testing/raw-socket.ts";
import { BAD_CHUNKS, CHUNKED, CL, post, SMUGGLING_SHAPES, TE } from "../testing/smuggling-shapes.ts";

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

  it("knows enough shapes", () =>
    assert.ok(Object.keys(SMUGGLING_SHAPES).length + Object.keys(BAD_CHUNKS).length >= 50));

  for (const [what, request] of Object.entries(SMUGGLING_SHAPES)) {
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
