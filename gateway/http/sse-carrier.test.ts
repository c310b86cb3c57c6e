// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { EventEmitter } from "node:events";
import type { ServerResponse } from "node:http";
import { describe, it } from "node:test";
import { FakeClock } from "#lib/clock.ts";
import { HashedWheel } from "../session/heartbeat/wheel.ts";
import { SseCarrier } from "./sse-carrier.ts";

/** As much of a response as the carrier uses. */
class FakeResponse extends EventEmitter {
  text = "";
  writableLength = 0;
  writableNeedDrain = false;
  writableEnded = false;
  destroyed = false;

  write(text: string): boolean {
    this.text += text;
    return !this.writableNeedDrain;
  }
  end(text: string): void {
    this.text += text;
    this.writableEnded = true;
  }
  destroy(): void {
    this.destroyed = true;
    this.emit("close");
  }
}

function setUp() {
  const response = new FakeResponse();
  const wheel = new HashedWheel(new FakeClock());
  const carrier = new SseCarrier(response as unknown as ServerResponse, "10.0.0.1", wheel);
  const events: string[] = [];
  carrier.attach({ onDrain: () => events.push("drain"), onGone: () => events.push("gone") });
  const tick = (count: number): void => {
    for (let i = 0; i < count; i++) wheel.tick();
  };
  return { response, carrier, events, tick };
}

describe("SseCarrier", () => {
  it("writes each piece as one event, and passes on that the socket is full", () => {
    const { response, carrier, events } = setUp();
    assert.equal(carrier.write(Buffer.from("frame")), true);
    response.writableNeedDrain = true;
    assert.equal(carrier.write(Buffer.from("next")), false);
    assert.equal(response.text, "data: ZnJhbWU=\n\ndata: bmV4dA==\n\n");
    response.emit("drain");
    assert.deepEqual(events, ["drain"]);
  });

  it("comments after 15 ticks of silence, unless the client does not read", () => {
    const { response, carrier, tick } = setUp();
    tick(16);
    assert.equal(response.text, ":\n\n");
    carrier.write(Buffer.from("x"));
    tick(14);
    assert.equal(response.text, ":\n\ndata: eA==\n\n");
    tick(2);
    assert.equal(response.text, ":\n\ndata: eA==\n\n:\n\n");
    response.writableNeedDrain = true;
    tick(40);
    assert.equal(response.text, ":\n\ndata: eA==\n\n:\n\n");
  });

  it("says why it ends, once, and is silent then", () => {
    const { response, carrier, events, tick } = setUp();
    carrier.end(4001, "moved");
    carrier.end(4000, "again");
    assert.equal(response.text, "event: close\ndata: 4001 moved\n\n");
    assert.deepEqual(carrier.ended, { code: 4001, reason: "moved" });
    tick(40);
    assert.equal(response.text, "event: close\ndata: 4001 moved\n\n");
    carrier.destroy();
    response.emit("close");
    assert.deepEqual(events, ["gone"]);
  });

  it("makes one line of any reason", () => {
    const { response, carrier } = setUp();
    carrier.end(4520, "不行\n\ndata: AAAA\r\u0000~");
    assert.equal(response.text, "event: close\ndata: 4520 ????data: AAAA??~\n\n");
  });
});
