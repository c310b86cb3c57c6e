// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { kindOf, LARGE_CONTENT_BYTES, textOf } from "./text.ts";

describe("text corpus", () => {
  it("is valid UTF-8 with the id inside, or empty", () => {
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    for (let i = 0; i < 500; i++) {
      const content = textOf(i, `id-${i}`);
      const text = decoder.decode(content);
      assert.ok(content.length <= LARGE_CONTENT_BYTES);
      if (kindOf(i) === "empty") assert.equal(text, "");
      else assert.ok(text.includes(`#id-${i}`));
    }
  });

  it("mixes all kinds", () => {
    const counts = new Map<string, number>();
    for (let i = 0; i < 1000; i++) counts.set(kindOf(i), (counts.get(kindOf(i)) ?? 0) + 1);
    assert.deepEqual(Object.fromEntries([...counts].sort()), {
      ascii: 250,
      chinese: 390,
      emoji: 200,
      empty: 50,
      large: 10,
      other: 100,
    });
    assert.equal(textOf(50, "x").length, LARGE_CONTENT_BYTES);
  });
});
