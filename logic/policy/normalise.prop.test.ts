// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { contactIn } from "./contacts.ts";
import { normalise } from "./normalise.ts";

const anyText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.string({ unit: "grapheme", maxLength: 60 }),
  // Lone halves of pairs, too.
  fc.array(fc.nat(0xffff), { maxLength: 40 }).map((units) => String.fromCharCode(...units)),
);

const STYLES: readonly string[] = [
  "0123456789",
  "０１２３４５６７８９",
  "⓪①②③④⑤⑥⑦⑧⑨",
  "⓿❶❷❸❹❺❻❼❽❾",
  "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗",
  "٠١٢٣٤٥٦٧٨٩",
  "०१२३४५६७८९",
  "〇一二三四五六七八九",
  "零壹贰叁肆伍陆柒捌玖",
  "洞幺两三四五六拐八勾",
];

const subscriber = fc
  .tuple(fc.constantFrom(..."3456789"), fc.array(fc.nat(9), { minLength: 9, maxLength: 9 }))
  // A round number may be a price.
  .map(([second, rest]) => `1${second}${rest.slice(0, 8).join("")}${rest[8] === 0 || rest[8] === 5 ? 7 : rest[8]}`);

/** Each digit in a style of its own, and what may stand behind it. */
function spelled(digits: string, styles: readonly number[], gaps: readonly string[]): string {
  return [...digits]
    .map((digit, at) => {
      const style = [...(STYLES[(styles[at] ?? 0) % STYLES.length] ?? "")];
      return `${style[Number(digit)]}${at < digits.length - 1 ? (gaps[at] ?? "") : ""}`;
    })
    .join("");
}

const elevenOf = <T>(one: fc.Arbitrary<T>) => fc.array(one, { minLength: 11, maxLength: 11 });
const styles = elevenOf(fc.nat(STYLES.length - 1));

describe("the normaliser", () => {
  it("applied twice is applied once", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const once = normalise(text);
        assert.equal(normalise(once), once);
      }),
      { numRuns: 3000 },
    );
  });

  it("applied twice is applied once, for every character of the first two planes", () => {
    for (let code = 0; code <= 0x1ffff; code++) {
      const once = normalise(String.fromCodePoint(code));
      if (normalise(once) !== once) assert.fail(`U+${code.toString(16)} becomes ${once}, then ${normalise(once)}`);
    }
  });

  it("leaves plain text as it is, and makes one of each spelling", () => {
    assert.equal(normalise("在的, 1500 ok? iphone-13 (95%)"), "在的, 1500 ok? iphone-13 (95%)");
    for (const [from, to] of [
      ["ＡＢＣ１２３", "abc123"],
      ["Ⓥ信", "v信"],
      ["1️⃣3️⃣", "13"],
      ["電話號碼", "电话号码"],
      ["v\u200bx", "vx"],
      ["ṽẋ", "vx"],
      ["вx", "bx"],
      ["微❤️", "微心"],
      ["a\nb\tc", "a b c"],
    ])
      assert.equal(normalise(from ?? ""), to);
  });

  it("shows a telephone number however its digits are spelled", () => {
    fc.assert(
      fc.property(subscriber, styles, (digits, style) => {
        const text = spelled(digits, style, []);
        assert.equal(contactIn(normalise(text), ["phone"]), "phone", text);
      }),
      { numRuns: 1000 },
    );
  });

  it("shows it with anything between its digits that is no letter, and with what cannot be seen", () => {
    const gap = fc.constantFrom(" ", "-", ".", "·", "*", "~", "😀", "\u200b", "\u3000", "_", "|");
    const one = fc.tuple(subscriber, fc.nat(STYLES.length - 1), gap);
    fc.assert(
      fc.property(one, ([digits, style, between]) => {
        const text = spelled(digits, Array(11).fill(style), Array(11).fill(between));
        assert.equal(contactIn(normalise(text), ["phone"]), "phone", text);
      }),
      { numRuns: 1000 },
    );
  });

  it("shows it in the groups that people write", () => {
    const cuts: fc.Arbitrary<number[]> = fc.constantFrom([3, 7], [4, 8], [3, 8], [5], [6], [7], [3], [2, 4, 6, 8, 10]);
    fc.assert(
      fc.property(subscriber, cuts, fc.constantFrom(" ", "-", ".", "  ", " - "), (digits, at, between) => {
        const gaps = Array.from({ length: 11 }, (_, index) => (at.includes(index + 1) ? between : ""));
        const text = spelled(digits, [], gaps);
        const isLikeAnother = /[./-]/.test(between) && at.length > 2;
        if (!isLikeAnother) assert.equal(contactIn(normalise(text), ["phone"]), "phone", text);
      }),
      { numRuns: 1000 },
    );
  });

  it("takes no other amount of digits in a row for one", () => {
    const lengths = fc.integer({ min: 1, max: 24 }).filter((length) => length !== 11 && length !== 13 && length !== 15);
    fc.assert(
      fc.property(lengths, fc.array(fc.nat(9), { minLength: 24, maxLength: 24 }), (length, digits) => {
        const number = digits.slice(0, length).join("");
        assert.equal(contactIn(normalise(`单号 ${number}`), ["phone"]), undefined, number);
      }),
      { numRuns: 1000 },
    );
  });
});
