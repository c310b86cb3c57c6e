// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { FakeClock } from "#lib/clock.ts";
import { MemorySocket } from "../../e2e/fuzz/memory-socket.ts";
import { awaitFirstBytes } from "./first-bytes.ts";

const TIMEOUT_MS = 5000;

function setUp() {
  const clock = new FakeClock();
  const socket = new MemorySocket();
  const told: string[] = [];
  const read: string[] = [];
  awaitFirstBytes(socket.asSocket, clock, TIMEOUT_MS, {
    onBytes: (which) => {
      told.push(which === socket.asSocket ? "bytes" : "of another");
      // As node does it for TLS.
      process.nextTick(() => {
        for (let piece = socket.read(); piece !== null; piece = socket.read()) read.push(String(piece));
      });
    },
    onNothing: () => void told.push("nothing"),
  });
  return { clock, socket, told, read };
}

describe("the first bytes of a socket", () => {
  it("are waited for, and stay in it", async () => {
    const { clock, socket, told, read } = setUp();
    await turn();
    assert.deepEqual(told, []);
    socket.push(Buffer.from("hello"));
    await turn();
    assert.deepEqual(told, ["bytes"]);
    assert.deepEqual(read, ["hello"]);
    clock.advance(TIMEOUT_MS);
    socket.destroy();
    await turn();
    assert.deepEqual(told, ["bytes"], "told once");
    assert.equal(clock.pending, 0);
    for (const event of ["data", "end", "close", "error"]) assert.equal(socket.listenerCount(event), 0, event);
  });

  for (const length of [1, 999, 1000, 1001, 2000, 5000]) {
    it(`are put back in pieces: ${length}`, async () => {
      const { socket, read } = setUp();
      const bytes = Array.from({ length }, (_, i) => String.fromCharCode(97 + (i % 26))).join("");
      socket.push(Buffer.from(bytes));
      await turn();
      assert.equal(read.join(""), bytes);
      assert.equal(read.length, Math.ceil(length / 1000));
      for (const piece of read) assert.ok(piece.length <= 1000);
    });
  }

  it("are not waited for forever", async () => {
    const { clock, told } = setUp();
    clock.advance(TIMEOUT_MS - 1);
    assert.deepEqual(told, []);
    clock.advance(1);
    assert.deepEqual(told, ["nothing"]);
  });

  const ENDS: Readonly<Record<string, (socket: MemorySocket) => void>> = {
    "its end": (socket) => void socket.push(null),
    "its close": (socket) => void socket.destroy(),
    "an error": (socket) => void socket.destroy(new Error("reset")),
  };
  for (const [what, end] of Object.entries(ENDS)) {
    it(`are given up at ${what}`, async () => {
      const { clock, socket, told } = setUp();
      end(socket);
      await turn();
      assert.deepEqual(told, ["nothing"]);
      assert.equal(clock.pending, 0);
    });
  }
});
