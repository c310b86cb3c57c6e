// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { wsFrame as frameOf } from "../testing/ws-frame.ts";
import { NO_CLOSE_CODE, WsOpcode, wsCloseFrame, wsFrame } from "./ws-writer.ts";

describe("frames that the entry writes", () => {
  it("are the examples of RFC 6455, 5.7", () => {
    assert.equal(wsFrame(WsOpcode.TEXT, Buffer.from("Hello")).toString("hex"), "810548656c6c6f");
    assert.equal(wsFrame(WsOpcode.BINARY, Buffer.alloc(256)).subarray(0, 4).toString("hex"), "827e0100");
    assert.equal(
      wsFrame(WsOpcode.BINARY, Buffer.alloc(65_536)).subarray(0, 10).toString("hex"),
      "827f0000000000010000",
    );
  });

  for (const length of [0, 1, 125, 126, 65_535, 65_536, 262_144]) {
    it(`write ${length} bytes with the shortest length`, () => {
      const payload = Buffer.alloc(length, "x");
      assert.deepEqual(
        wsFrame(WsOpcode.BINARY, payload),
        frameOf({ opcode: WsOpcode.BINARY, payload, isMasked: false }),
      );
    });
  }

  it("close with a code and as much of the reason as a control frame holds", () => {
    assert.equal(wsCloseFrame(4000, "bye").toString("hex"), `88050fa0${Buffer.from("bye").toString("hex")}`);
    assert.equal(wsCloseFrame(1000, "r".repeat(500)).length, 2 + 125);
    assert.equal(wsCloseFrame(NO_CLOSE_CODE, "").toString("hex"), "8800");
  });
});
