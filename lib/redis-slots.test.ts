// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { keyOf, slotOf } from "./redis-slots.ts";

describe("slotOf", () => {
  it("is CRC-16/XMODEM modulo 16,384", () => {
    assert.equal(slotOf("123456789"), 0x31c3);
    assert.equal(slotOf("foo"), 12_182);
    assert.equal(slotOf(""), 0);
  });

  it("hashes the first tag only, when it is not empty", () => {
    assert.equal(slotOf("r:{user1000}.a"), slotOf("lease:{user1000}"));
    assert.equal(slotOf("foo{{bar}}zap"), slotOf("{bar"));
    assert.equal(slotOf("foo{bar}{zap}"), slotOf("bar"));
    assert.notEqual(slotOf("foo{}{bar}"), slotOf("bar"));
    assert.notEqual(slotOf("foo{bar"), slotOf("bar"));
  });

  it("hashes UTF-8 bytes", () => {
    assert.equal(slotOf("{用户}x"), slotOf("用户"));
  });
});

describe("keyOf", () => {
  const script = { name: "s", lua: "", sha: "0", keys: 1 };
  for (const [command, key] of [
    [["GET", "k"], "k"],
    [["xack", "q", "g", "1-0"], "q"],
    [["XGROUP", "CREATE", "q", "g", "0"], "q"],
    [["XREADGROUP", "GROUP", "g", "c", "COUNT", 1, "BLOCK", 5, "STREAMS", "q", ">"], "q"],
    [["EVALSHA", "sha", 1, "k", "arg"], "k"],
    [["EVAL", "lua", 0, "arg"], undefined],
    [["INFO", "server"], undefined],
    [["WAIT", 1, 100], undefined],
    [["TIME"], undefined],
    [{ script, args: ["k", 1] }, "k"],
    [{ script: { ...script, keys: 0 }, args: ["a"] }, undefined],
  ] as const)
    it(`finds ${String(key)} in ${"script" in command ? "a script" : command.join(" ")}`, () => {
      assert.equal(keyOf(command as Parameters<typeof keyOf>[0]), key);
    });
});
