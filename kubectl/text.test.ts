// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { stripVTControlCharacters } from "node:util";
import fc from "fast-check";
import { parse } from "yaml";
import {
  ago,
  capped,
  count,
  harmless,
  isActive,
  oneLine,
  PLAIN,
  paintOf,
  span,
  table,
  visible,
  wrapped,
} from "./text.ts";
import { toYaml } from "./yaml-text.ts";

/** A title, a cleared screen, a line that overwrites the one before, text that runs backwards, C1 for the same. */
const HOSTILE = [
  "\u001b]0;title\u0007",
  "\u001b[2J",
  "\u001b[1A",
  "\r",
  "\b",
  "\u202e",
  "\u2066",
  "\u009b2J",
  "\u0090",
  "\u007f",
];
const hostile = fc
  .array(fc.oneof(fc.string(), fc.constantFrom(...HOSTILE, "\n", "\t", "\u001b[31m", "聊", "👩‍🔧")))
  .map((parts) => parts.join(""));

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

describe("text of others", () => {
  it("is seen as what it is, on one line", () => {
    assert.equal(visible("\u001b[2Ja\nb\tc\r\u009b\u007f\u202e"), "\\u001b[2Ja\\nb\\tc\\r\\u009b\\u007f\\u202e");
    for (const text of ["plain", "héllo 聊天 👩‍🔧", "back\\slash", ""]) assert.equal(visible(text), text);
    for (const text of HOSTILE) assert.ok(isActive(text) && !isActive(visible(text)), JSON.stringify(text));
  });

  it("does nothing to a terminal when it is printed without care, but for lines, tabs and our colours", () => {
    fc.assert(
      fc.property(hostile, fc.boolean(), (text, isColoured) => {
        const printed = harmless(text, isColoured);
        const rest = isColoured
          ? ["0", "1", "2", "31", "32", "33"].reduce((left, code) => left.replaceAll(`\u001b[${code}m`, ""), printed)
          : printed;
        assert.ok(!isActive(rest.replaceAll(/[\n\t]/g, "")), JSON.stringify(printed));
      }),
    );
    const ours = paintOf(true);
    const painted = `${ours.bold("a")} ${ours.bad("b")}\n\t${ours.faint("c")}${ours.good("d")}${ours.warn("e")}`;
    assert.equal(harmless(painted, true), painted);
    assert.match(harmless("\u001b[8mhidden\u001b[5m", true), /^\\u001b\[8mhidden\\u001b\[5m$/);
  });

  it("is the same value in JSON and YAML, for programs that read it from a pipe", () => {
    fc.assert(
      fc.property(hostile, hostile, (key, value) => {
        fc.pre(key !== "__proto__");
        const data = { [key]: [value, { a: value }] };
        assert.deepEqual(JSON.parse(harmless(JSON.stringify(data, undefined, 2), false)), data);
        assert.deepEqual(parse(harmless(toYaml(data), false)), data);
      }),
    );
  });

  it("cannot forge a row of a table, or shift its columns", () => {
    const rows = [
      ["a\nforged  row\u001b[2K", { text: "\u001b[31mred", paint: paintOf(true).good }],
      ["b", "ok"],
    ];
    const lines = table(["NAME", "STATE"], rows, PLAIN).split("\n");
    assert.equal(lines.length, 4);
    const bare = lines.map(stripVTControlCharacters);
    assert.equal(bare[1]?.indexOf("\\u001b[31mred"), bare[0]?.indexOf("STATE"));
    assert.equal(bare[2]?.indexOf("ok"), bare[0]?.indexOf("STATE"));
  });

  it("is cut and flattened without a way out", () => {
    assert.equal(oneLine("a\u001b[2J\n b", 40), "a\\u001b[2J b");
  });
});
