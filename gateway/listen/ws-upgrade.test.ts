// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readUpgrade } from "./ws-upgrade.ts";

const HEADERS = {
  upgrade: "websocket",
  connection: "Upgrade",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
};

function answerTo(more: Record<string, string | undefined>, method = "GET") {
  return readUpgrade(method, { ...HEADERS, ...more });
}

describe("a request for a WebSocket", () => {
  it("is answered as the example of RFC 6455, 1.3", () => {
    const upgrade = answerTo({});
    assert.ok(typeof upgrade === "object");
    assert.equal(upgrade.protocol, "");
    assert.deepEqual(upgrade.answer.split("\r\n"), [
      "HTTP/1.1 101 Switching Protocols",
      "Upgrade: websocket",
      "Connection: Upgrade",
      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
      "",
      "",
    ]);
  });

  const OFFERS: readonly [string, string | 400][] = [
    ["im.v1", "im.v1"],
    ["im.v1.json", "im.v1.json"],
    ["im.v1.json, im.v1", "im.v1.json"],
    ["other,im.v1 ,\tim.v1.json", "im.v1"],
    ["other", ""],
    ["im.v1.json2", ""],
    ["", 400],
    [",", 400],
    [",,", 400],
    ["im.v1,", 400],
    [",im.v1", 400],
    ["im.v1 im.v1.json", 400],
    ["im.v1, im.v1", 400],
    ["im/v1", 400],
    ['"im.v1"', 400],
    ["im.v1\u00e9", 400],
  ];
  for (const [offer, expected] of OFFERS) {
    it(`that offers ${JSON.stringify(offer)}: ${JSON.stringify(expected)}`, () => {
      const upgrade = answerTo({ "sec-websocket-protocol": offer });
      if (typeof upgrade === "number") {
        assert.equal(upgrade, expected);
        return;
      }
      assert.equal(upgrade.protocol, expected);
      const named = /^Sec-WebSocket-Protocol: (.*)\r$/m.exec(upgrade.answer)?.[1] ?? "";
      assert.equal(named, expected);
    });
  }

  const WRONG: readonly [string, Record<string, string | undefined>, string, number][] = [
    ["by POST", {}, "POST", 405],
    ["to something else", { upgrade: "h2c" }, "GET", 400],
    ["without upgrade", { upgrade: undefined }, "GET", 400],
    ["without a key", { "sec-websocket-key": undefined }, "GET", 400],
    ["with a short key", { "sec-websocket-key": "dGhlIHNhbXBsZQ==" }, "GET", 400],
    ["with a key that is no base64", { "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZ*==" }, "GET", 400],
    ["with a key and more", { "sec-websocket-key": `${HEADERS["sec-websocket-key"]}\r\nx: y` }, "GET", 400],
    ["without a version", { "sec-websocket-version": undefined }, "GET", 400],
    ["of a draft", { "sec-websocket-version": "8" }, "GET", 400],
    ["of two versions", { "sec-websocket-version": "13, 8" }, "GET", 400],
  ];
  for (const [what, more, method, status] of WRONG)
    it(`${what} is refused with ${status}`, () => assert.equal(answerTo(more, method), status));

  it("may write Upgrade in any case", () => assert.ok(typeof answerTo({ upgrade: "WebSocket" }) === "object"));
});
