// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Automaton } from "./automaton.ts";
import { normalise } from "./normalise.ts";
import { squeeze, WordFinder } from "./word-finder.ts";

function hitsOf(automaton: Automaton, text: string): string[] {
  const hits: string[] = [];
  automaton.find(text, (pattern, end) => void hits.push(`${pattern}@${end}`));
  return hits.sort();
}

/** What the automaton must find, by looking at every place. */
function expected(patterns: readonly string[], text: string): string[] {
  return patterns
    .flatMap((pattern, index) =>
      [...Array(text.length).keys()]
        .filter((at) => text.startsWith(pattern, at))
        .map((at) => `${index}@${at + pattern.length}`),
    )
    .sort();
}

describe("Automaton", () => {
  it("finds what a look at every place finds", () => {
    const word = fc.string({ unit: fc.constantFrom("a", "b", "c", "微", "信"), minLength: 1, maxLength: 5 });
    const patterns = fc.uniqueArray(word, { minLength: 1, maxLength: 20 });
    const text = fc.string({ unit: fc.constantFrom("a", "b", "c", "微", "信", "x"), maxLength: 40 });
    fc.assert(
      fc.property(patterns, text, (all, where) => {
        assert.deepEqual(hitsOf(new Automaton(all), where), expected(all, where));
      }),
      { numRuns: 1000 },
    );
  });

  it("finds words within words, and words that overlap", () => {
    const automaton = new Automaton(["he", "she", "his", "hers"]);
    assert.deepEqual(hitsOf(automaton, "ushers"), ["0@4", "1@4", "3@6"]);
    assert.deepEqual(hitsOf(automaton, ""), []);
    assert.deepEqual(hitsOf(new Automaton(["aa"]), "aaaa"), ["0@2", "0@3", "0@4"]);
  });

  it("takes many thousand patterns, and refuses an empty one", () => {
    const patterns = Array.from({ length: 20_000 }, (_, at) => `w${at.toString(36)}x`);
    assert.ok(hitsOf(new Automaton(patterns), "...wfe1x...").includes(`${patterns.indexOf("wfe1x")}@8`));
    assert.throws(() => new Automaton(["a", ""]), RangeError);
  });
});

describe("WordFinder", () => {
  const finder = new WordFinder([["Ass", "fake id"], ["枪支", "发票"], ["枪支", "no1"], ["刷单"]]);
  const find = (text: string) => [...finder.find(normalise(text))].sort();

  it("takes Latin words as a whole only", () => {
    assert.deepEqual(find("first class"), []);
    assert.deepEqual(find("an ASS!"), [0]);
    assert.deepEqual(find("a ｆａｋｅ ｉｄ, please"), [0]);
    assert.deepEqual(find("fake idea"), []);
    assert.deepEqual(find("no1"), [2]);
    assert.deepEqual(find("no10"), []);
  });

  it("finds the others with anything between their characters that is no letter", () => {
    assert.deepEqual(find("卖枪.支 吗"), [1, 2]);
    assert.deepEqual(find("刷~~单"), [3]);
    assert.deepEqual(find("刷😀单"), [3]);
    assert.deepEqual(find("刷了个单"), []);
  });

  it("has an empty list of lists", () => {
    assert.deepEqual([...new WordFinder([]).find("anything")], []);
    assert.equal(squeeze("a-b c。微 信!"), "abc微信");
  });
});
