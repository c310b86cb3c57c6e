// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { wsFrame as clientFrame } from "../testing/ws-frame.ts";
import { WsReader } from "./ws-reader.ts";
import { readWebSocket } from "./ws-test-kit.ts";
import { WsOpcode } from "./ws-writer.ts";

const MAX_BYTES = 1024 * 1024;
const hex = (text: string): string => Buffer.from(text).toString("hex");
const binary = (text: string, isFinal = true): Buffer =>
  clientFrame({ opcode: WsOpcode.BINARY, payload: Buffer.from(text), isFinal });
const more = (text: string, isFinal: boolean): Buffer =>
  clientFrame({ opcode: WsOpcode.CONTINUATION, payload: Buffer.from(text), isFinal });

describe("WsReader", () => {
  it("reads the examples of RFC 6455, 5.7", () => {
    const masked = Buffer.from("818537fa213d7f9f4d5158", "hex");
    assert.deepEqual(readWebSocket([masked], MAX_BYTES), { events: [`text ${hex("Hello")}`], fault: undefined });
    const pong = Buffer.from("8a8537fa213d7f9f4d5158", "hex");
    assert.deepEqual(readWebSocket([pong], MAX_BYTES).events, [`pong ${hex("Hello")}`]);
  });

  it("joins fragments, with a ping between them in its place", () => {
    const ping = clientFrame({ opcode: WsOpcode.PING, payload: Buffer.from("p") });
    const stream = Buffer.concat([binary("He", false), more("ll", false), ping, more("o", true), binary("next")]);
    const events = [`ping ${hex("p")}`, `binary ${hex("Hello")}`, `binary ${hex("next")}`];
    assert.deepEqual(readWebSocket([stream], MAX_BYTES), { events, fault: undefined });
  });

  for (const length of [0, 1, 3, 4, 5, 125, 126, 127, 255, 256, 65_535, 65_536, 300_000]) {
    it(`takes the mask off ${length} bytes, in one piece and in many`, () => {
      const payload = Buffer.from(Array.from({ length }, (_, i) => (i * 7) & 0xff));
      const frame = clientFrame({ opcode: WsOpcode.BINARY, payload });
      const pieces = Array.from({ length: Math.ceil(frame.length / 1000) }, (_, i) =>
        Buffer.from(frame.subarray(i * 1000, (i + 1) * 1000)),
      );
      const events = [`binary ${payload.toString("hex")}`];
      assert.deepEqual(readWebSocket(pieces, MAX_BYTES).events, events);
      assert.deepEqual(readWebSocket([frame], MAX_BYTES).events, events);
    });
  }

  it("says what is wrong as soon as it can be told, and reads nothing more", () => {
    const reader = new WsReader(100);
    const sink = { onMessage: () => assert.fail(), onControl: () => assert.fail(), onClose: () => assert.fail() };
    assert.equal(reader.push(Buffer.from([0x82]), sink), undefined);
    assert.equal(reader.push(Buffer.from([0x05]), sink), 1002);
    assert.equal(reader.isEnded, true);
    assert.equal(reader.push(binary("x"), sink), undefined);
    // Too long by what is announced, before a byte of it came.
    assert.equal(new WsReader(100).push(Buffer.from([0x82, 0xfe, 0, 101]), sink), 1009);
    assert.equal(new WsReader(100).push(Buffer.from([0x82, 0xfe, 0, 100]), sink), undefined);
  });

  it("counts all fragments of a message against the limit", () => {
    const parts = [binary("a".repeat(60), false), more("b".repeat(41), true)];
    assert.deepEqual(readWebSocket(parts, 100), { events: [], fault: 1009 });
    const fits = [binary("a".repeat(60), false), more("b".repeat(40), true)];
    assert.equal(readWebSocket(fits, 100).fault, undefined);
  });

  it("reads nothing behind a close", () => {
    const close = clientFrame({ opcode: WsOpcode.CLOSE, payload: Buffer.from([0x0f, 0xa0]) });
    assert.deepEqual(readWebSocket([Buffer.concat([close, binary("x")])], MAX_BYTES).events, ["close 4000"]);
    assert.deepEqual(readWebSocket([close, binary("x")], MAX_BYTES).events, ["close 4000"]);
    const empty = clientFrame({ opcode: WsOpcode.CLOSE, payload: Buffer.alloc(0) });
    assert.deepEqual(readWebSocket([empty], MAX_BYTES).events, ["close 1005"]);
  });

  it("keeps of a slow message what came, not what it announces", () => {
    const sink = { onMessage: () => assert.fail(), onControl: () => assert.fail(), onClose: () => assert.fail() };
    const begun = clientFrame({ opcode: WsOpcode.BINARY, payload: Buffer.alloc(300_000) }).subarray(0, 20);
    const readers = Array.from({ length: 200 }, () => new WsReader(MAX_BYTES));
    const before = process.memoryUsage().arrayBuffers;
    for (const reader of readers) assert.equal(reader.push(Buffer.from(begun), sink), undefined);
    const kept = process.memoryUsage().arrayBuffers - before;
    assert.ok(kept < 200 * 2000, `${kept} bytes for ${readers.length} readers`);
  });
});
