// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Command } from "#proto/commands.ts";
import { wsFrame } from "../../gateway/testing/ws-frame.ts";
import { encodeFrame } from "../../gateway/wire/envelope.ts";
import { Depth, isDeep } from "./depth.ts";
import type { SocketLane } from "./lanes.ts";

const latin1 = (...parts: Buffer[]): string => Buffer.concat(parts).toString("latin1");
const welcome = encodeFrame(Command.WELCOME, 1, 0, Buffer.alloc(10));
const longWelcome = encodeFrame(Command.WELCOME, 1, 0, Buffer.alloc(300));
const error = encodeFrame(Command.ERROR, 0, 0, Buffer.from("not yet"));
const UPGRADED = Buffer.from("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n");
const message = (payload: Buffer, opcode = 2): Buffer => wsFrame({ opcode, payload, isMasked: false });

const DEEP: readonly [SocketLane, string][] = [
  ["frames", latin1(welcome)],
  ["frames", latin1(error, longWelcome)],
  ["proxy", latin1(welcome)],
  ["websocket", latin1(UPGRADED, message(welcome))],
  ["websocket", latin1(UPGRADED, message(Buffer.from("ping"), 10), message(error), message(longWelcome))],
  ["json", latin1(UPGRADED, message(Buffer.from('{"cmd":"WELCOME","rid":1}'), 1))],
  ["http", "HTTP/1.1 404 Not Found\r\n\r\n"],
  ["http", latin1(UPGRADED)],
  ["carrier", "HTTP/1.1 401 Unauthorized\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"],
  ["tls", "\u0016\u0003\u0003"],
];
const SHALLOW: readonly [SocketLane, string][] = [
  ["frames", ""],
  ["frames", latin1(error)],
  ["frames", latin1(Buffer.from([0, 0]), welcome)],
  ["frames", "\u0080\u0080"],
  ["websocket", latin1(UPGRADED)],
  ["websocket", latin1(UPGRADED, message(Buffer.from([0x0f, 0xa0]), 8))],
  ["websocket", latin1(UPGRADED, Buffer.from([0x82, 126, 0]))],
  ["websocket", `HTTP/1.1 400 Bad Request\r\n\r\n${latin1(message(welcome))}`],
  ["json", latin1(UPGRADED)],
  ["http", "HTTP/1.1 400 Bad Request\r\n\r\n"],
  ["http", ""],
  ["carrier", "HTTP/1.1 401 Unauthorized\r\n\r\n"],
  ["tls", "\u0015\u0003\u0003"],
];

describe("how deep a case got", () => {
  for (const [cases, expected] of [
    [DEEP, true],
    [SHALLOW, false],
  ] as const) {
    for (const [lane, text] of cases) {
      it(`${lane}: ${JSON.stringify(text.slice(0, 60))} is ${expected ? "" : "not "}past the parser`, () => {
        assert.equal(isDeep(lane, text), expected);
      });
    }
  }

  it("shares by lane; lanes that only knock at the door are named, when there are cases enough", () => {
    const depth = new Depth();
    for (let i = 0; i < 400; i++) depth.add("frames", i % 4 === 0 ? "" : latin1(welcome));
    for (let i = 0; i < 400; i++) depth.add("carrier", i % 10 === 0 ? "HTTP/1.1 200 OK\r\n\r\n" : "");
    for (let i = 0; i < 10; i++) depth.add("http", "");
    assert.deepEqual(depth.shares(), { frames: 0.75, carrier: 0.1, http: 0 });
    assert.equal(depth.shallow().length, 1);
    assert.match(depth.shallow()[0] ?? "", /^carrier: 40 of 400 cases/);
    assert.deepEqual(depth.shallow(["carrier"]), []);
  });
});
