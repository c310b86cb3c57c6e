// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { METHODS } from "node:http";
import { describe, it } from "node:test";
import fc from "fast-check";
import { encodeFrame } from "../wire/envelope.ts";
import { sniff } from "./sniff.ts";

describe("sniff", () => {
  it("knows HTTP methods by two bytes", () => {
    // All but M-SEARCH, which is nobody's here.
    for (const method of METHODS.filter((name) => /^[A-Z]{2}/.test(name))) {
      assert.equal(sniff(Buffer.from(method)), "http", method);
      assert.equal(sniff(Buffer.from(method.slice(0, 1))), undefined);
      assert.equal(sniff(Buffer.from(method.slice(0, 2))), "http");
    }
  });

  it("knows every frame a client can begin with, whatever its length byte", () => {
    fc.assert(
      fc.property(fc.nat(300), fc.nat(1000), (bodyBytes, rid) => {
        const frame = encodeFrame(1, rid, 0, Buffer.alloc(bodyBytes));
        assert.equal(sniff(frame), "frames");
        const early = sniff(frame.subarray(0, 1));
        assert.ok(early === "frames" || early === undefined);
      }),
    );
  });

  it("decides on two bytes at most, and never changes its mind", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 2, maxLength: 20 }), (bytes) => {
        const early = sniff(bytes.subarray(0, 1));
        const verdict = sniff(bytes.subarray(0, 2));
        assert.notEqual(verdict, undefined);
        assert.equal(sniff(bytes), verdict);
        if (early) assert.equal(early, verdict);
      }),
    );
    assert.equal(sniff(new Uint8Array(0)), undefined);
  });
});
