// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { preferredLanguage, type TextKey, textOf } from "./language.ts";
import { Latency } from "./latency.ts";

describe("latency", () => {
  it("percentiles by nearest rank, of the last samples only", () => {
    const latency = new Latency(100);
    assert.equal(latency.percentile(0.5), undefined);
    latency.add(1e6);
    for (let ms = 100; ms >= 1; ms--) latency.add(ms);
    assert.deepEqual(
      [latency.count, latency.percentile(0.5), latency.percentile(0.99), latency.percentile(1)],
      [100, 50, 99, 100],
    );
  });
});

describe("language", () => {
  it("Chinese for those who prefer it to English", () => {
    const cases: [string[], string][] = [
      [["zh-CN", "en"], "zh"],
      [["en-US", "zh-CN"], "en"],
      [["fr", "zh-TW"], "zh"],
      [["zha"], "en"],
      [["de"], "en"],
      [[], "en"],
    ];
    for (const [languages, expected] of cases) assert.equal(preferredLanguage(languages), expected, languages.join());
  });

  it("fills the braces, and leaves what it was not given", () => {
    assert.equal(textOf("en", "noticeMoved", { from: "a", entry: "b" }), "Moved from a to b without a break");
    assert.equal(textOf("zh", "write", {}), "发给 {peer} 的消息");
  });

  it("both languages use the same names in braces", () => {
    const braces = (text: string): string[] => [...text.matchAll(/\{\w+\}/g)].map(([brace]) => brace).sort();
    const keys: TextKey[] = ["pane", "messages", "write", "milliseconds", "failed", "noticeOpen", "noticeMoved"];
    keys.push("noticeLost", "noticeGoaway", "noticeKickedBy", "noticeClosed", "noticeError");
    for (const key of keys) assert.deepEqual(braces(textOf("en", key)), braces(textOf("zh", key)), key);
  });
});
