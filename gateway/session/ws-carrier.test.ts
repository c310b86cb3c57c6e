// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Command } from "#proto/commands.ts";
import { MemorySocket } from "../../e2e/fuzz/memory-socket.ts";
import { encodeFrame } from "../wire/envelope.ts";
import { showJsonFrames } from "../wire/json-frame.ts";
import { WsOpcode, wsCloseFrame, wsFrame } from "../wire/ws-writer.ts";
import { JsonWsCarrier, WsCarrier } from "./carrier.ts";

const EMPTY = Buffer.alloc(0);
const PONG = encodeFrame(Command.PONG, 7, 0, EMPTY);

/** A socket that counts writes, and takes none of them while `isStuck`. */
class StuckSocket extends MemorySocket {
  isStuck = false;
  writes = 0;
  readonly chunks: Buffer[] = [];

  override _write(chunk: Buffer, encoding: string, done: () => void): void {
    this.writes++;
    this.chunks.push(chunk);
    if (!this.isStuck) super._write(chunk, encoding, done);
  }
}

function setUp(isJson = false) {
  const socket = new StuckSocket();
  const carrier = isJson ? new JsonWsCarrier(socket.asSocket) : new WsCarrier(socket.asSocket);
  const written = async (): Promise<string> => {
    await turn();
    return Buffer.from(socket.text, "latin1").toString("hex");
  };
  return { socket, carrier, written };
}

const hexOf = (...frames: readonly Buffer[]): string => Buffer.concat(frames).toString("hex");

describe("a WebSocket carrier", () => {
  it("writes frames as one binary message, in one write", async () => {
    const { carrier, socket, written } = setUp();
    assert.equal(carrier.write(Buffer.concat([PONG, PONG])), true);
    assert.equal(await written(), hexOf(wsFrame(WsOpcode.BINARY, Buffer.concat([PONG, PONG]))));
    assert.equal(socket.writes, 1);
  });

  it("of JSON writes each frame as a text message, in one write", async () => {
    const { carrier, socket, written } = setUp(true);
    carrier.write(Buffer.concat([PONG, PONG]));
    const texts = showJsonFrames(Buffer.concat([PONG, PONG]));
    assert.equal(texts.length, 2);
    assert.equal(await written(), hexOf(...texts.map((text) => wsFrame(WsOpcode.TEXT, Buffer.from(text)))));
    assert.equal(socket.writes, 1);
  });

  for (const isJson of [false, true])
    it(`puts a frame for many into its form once${isJson ? ", of JSON, too" : ""}`, async () => {
      const [one, other, third] = [setUp(isJson), setUp(isJson), setUp(isJson)];
      const [frame, next] = [encodeFrame(Command.PONG, 9, 0, EMPTY), encodeFrame(Command.PONG, 10, 0, EMPTY)];
      for (const { carrier } of [one, other]) carrier.write(frame);
      third.carrier.write(next);
      third.carrier.write(frame);
      const formOf = (bytes: Buffer): Buffer =>
        isJson ? wsFrame(WsOpcode.TEXT, Buffer.from(showJsonFrames(bytes)[0] ?? "")) : wsFrame(WsOpcode.BINARY, bytes);
      for (const { written } of [one, other]) assert.equal(await written(), hexOf(formOf(frame)));
      assert.equal(await third.written(), hexOf(formOf(next), formOf(frame)));
      assert.equal(other.socket.chunks[0], one.socket.chunks[0], "the same buffer");
    });

  it("says wait while the client does not read, and answers no pings then", async () => {
    const { carrier, socket, written } = setUp();
    socket.isStuck = true;
    assert.equal(carrier.write(Buffer.alloc(1024 * 1024)), false);
    const { bufferedBytes } = carrier;
    assert.ok(bufferedBytes > 1024 * 1024);
    for (let i = 0; i < 1000; i++) carrier.pong(Buffer.from("ping"));
    assert.equal(carrier.bufferedBytes, bufferedBytes);
    assert.equal(await written(), "");
  });

  it("answers a ping with what it said", async () => {
    const { carrier, written } = setUp();
    carrier.pong(Buffer.from("are you there"));
    assert.equal(await written(), hexOf(wsFrame(WsOpcode.PONG, Buffer.from("are you there"))));
  });

  it("closes once, writes nothing behind it, and ends when the client has answered", async () => {
    const { carrier, socket, written } = setUp();
    carrier.end(4000, "moved");
    carrier.end(4001, "again");
    carrier.pong(EMPTY);
    assert.equal(await written(), hexOf(wsCloseFrame(4000, "moved")));
    assert.equal(socket.writableEnded, false);
    carrier.finish(4000);
    assert.equal(await written(), hexOf(wsCloseFrame(4000, "moved")));
    assert.equal(socket.writableEnded, true);
  });

  it("answers a close of the client and ends", async () => {
    const { carrier, socket, written } = setUp();
    carrier.finish(1000);
    assert.equal(await written(), hexOf(wsCloseFrame(1000, "")));
    assert.equal(socket.writableEnded, true);
  });

  it("writes no close into a socket that is gone", () => {
    const { carrier, socket } = setUp();
    socket.on("error", assert.fail);
    carrier.destroy();
    carrier.end(4000, "moved");
    carrier.finish(4000);
    assert.equal(socket.destroyed, true);
    assert.equal(socket.writes, 0);
  });
});
