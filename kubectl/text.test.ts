// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { ago, capped, count, oneLine, PLAIN, paintOf, span, table, wrapped } from "./text.ts";

describe("table", () => {
  it("sets columns as wide as their longest cell, figures to the right, nothing behind the last", () => {
    const text = table(
      ["POD", ">SESSIONS", "NOTE"],
      [
        ["demo-entry-abcde", "18,200", ""],
        ["x", "3", "slow"],
      ],
      PLAIN,
    );
    assert.equal(
      text,
      "POD               SESSIONS  NOTE\ndemo-entry-abcde    18,200\nx                        3  slow\n",
    );
  });

  it("measures texts, not their colours", () => {
    const paint = paintOf(true);
    const row = (state: string) => [{ text: state, paint: paint.good }, "end"];
    const lines = table(["STATE", "X"], [row("Ready"), row("ok")], paint).split("\n");
    const bare = lines.map(stripVTControlCharacters);
    assert.deepEqual(bare, ["STATE  X", "Ready  end", "ok     end", ""]);
    assert.equal(lines[1], "\u001b[32mReady\u001b[0m  end");
  });

  it("colours nothing where none is wanted", () => {
    assert.equal(PLAIN.bad("x") + PLAIN.good("y") + PLAIN.warn("") + PLAIN.bold("z") + PLAIN.faint("a"), "xyza");
    assert.equal(paintOf(true).bad(""), "");
  });
});

describe("figures", () => {
  it("counts with commas", () => {
    assert.deepEqual([0, 12, 999, 1_000, 281_344, 1_234_567].map(count), [
      "0",
      "12",
      "999",
      "1,000",
      "281,344",
      "1,234,567",
    ]);
  });

  it("writes spans with two units at most", () => {
    const cases: [number, string][] = [
      [0, "0s"],
      [-5, "0s"],
      [499, "0s"],
      [1_000, "1s"],
      [59_600, "1m"],
      [125_000, "2m5s"],
      [600_000, "10m"],
      [3_600_000, "1h"],
      [5 * 3_600_000 + 12 * 60_000, "5h12m"],
      [26 * 3_600_000, "1d2h"],
      [364 * 86_400_000 + 3_600_000, "364d"],
    ];
    for (const [ms, text] of cases) assert.equal(span(ms), text, String(ms));
  });

  it("says how long ago, or nothing", () => {
    assert.equal(ago("2026-01-01T00:00:00Z", Date.parse("2026-01-01T00:01:30Z")), "1m30s");
    assert.equal(ago(undefined, 0), "");
    assert.equal(ago("yesterday", 0), "");
  });

  it("breaks lines between words", () => {
    assert.equal(wrapped("a bb ccc dddd", 6), "a bb\nccc\ndddd");
    assert.equal(wrapped("one", 2), "one");
  });

  it("cuts texts and lists, and says so", () => {
    assert.equal(oneLine("a\n  b\tc", 10), "a b c");
    assert.equal(oneLine("abcdef", 4), "abc…");
    assert.deepEqual(capped([1, 2], 2), { shown: [1, 2], rest: "" });
    assert.deepEqual(capped([1, 2, 3], 1), { shown: [1], rest: "... and 2 more: -o json shows all\n" });
  });
});
