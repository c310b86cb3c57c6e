// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ByteCache } from "./byte-cache.ts";

describe("ByteCache", () => {
  it("loads once for all who ask, and keeps what was used last within its bytes", async () => {
    const cache = new ByteCache(100);
    const loads: string[] = [];
    const get = (key: string, length = 40) =>
      cache.get(key, async () => {
        loads.push(key);
        return new Uint8Array(length);
      });
    await Promise.all([get("a"), get("a"), get("b")]);
    assert.deepEqual(loads, ["a", "b"]);
    await get("a");
    await get("c");
    assert.equal(cache.bytes, 80);
    await get("a");
    assert.deepEqual(loads, ["a", "b", "c"], "a was used after b");
    await get("b");
    assert.deepEqual(loads, ["a", "b", "c", "b"]);
    assert.equal((await get("large", 101)).length, 101);
    assert.equal(cache.bytes, 80, "what is too large is not kept");
  });

  it("asks again after a failure", async () => {
    const cache = new ByteCache(10);
    await assert.rejects(
      cache.get("a", () => Promise.reject(new Error("away"))),
      /away/,
    );
    assert.equal((await cache.get("a", async () => new Uint8Array(1))).length, 1);
  });
});
