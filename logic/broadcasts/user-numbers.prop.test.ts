// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  countNumbers,
  hasNumber,
  isUserNumbers,
  joinNumbers,
  listNumbers,
  NO_NUMBERS,
  packNumbers,
} from "./user-numbers.ts";

const MAX = 0x7fff_ffff;
/** Few blocks, so that lists meet bitmaps and numbers meet each other. */
const number = fc.oneof(fc.nat({ max: MAX }), fc.nat({ max: 200_000 }), fc.constantFrom(0, 0xffff, 0x1_0000, MAX));
const ranges = fc.array(fc.tuple(fc.nat({ max: 150_000 }), fc.nat({ max: 6000 })), { maxLength: 2 });
const numbers = fc
  .tuple(fc.array(number, { maxLength: 50 }), ranges)
  .map(([some, runs]) => [...some, ...runs.flatMap(([from, length]) => Array.from({ length }, (_, n) => from + n))]);
const sorted = (values: Iterable<number>): number[] => [...new Set(values)].sort((a, b) => a - b);

describe("user numbers in bytes", () => {
  it("hold what was put in and nothing else", () => {
    fc.assert(
      fc.property(numbers, number, (values, other) => {
        const set = packNumbers(values);
        const wanted = sorted(values);
        assert.deepEqual([...listNumbers(set)], wanted);
        assert.equal(countNumbers(set), wanted.length);
        assert.ok(isUserNumbers(set));
        const there = new Set(wanted);
        for (const one of [...wanted.slice(0, 100), ...wanted.slice(-100)]) assert.ok(hasNumber(set, one), String(one));
        for (const one of [other, 0, MAX, ...wanted.slice(0, 50).map((n) => n + 1)])
          assert.equal(hasNumber(set, one), there.has(one), String(one));
      }),
      { numRuns: 60 },
    );
  });

  it("join", () => {
    fc.assert(
      fc.property(numbers, numbers, (a, b) => {
        assert.deepEqual([...listNumbers(joinNumbers(packNumbers(a), packNumbers(b)))], sorted([...a, ...b]));
      }),
      { numRuns: 60 },
    );
  });

  it("are read within a buffer, as rows of a database are", () => {
    const set = packNumbers([1, 5, 70_000]);
    const buffer = Buffer.concat([Buffer.alloc(3), set, Buffer.alloc(5)]);
    assert.ok(hasNumber(buffer.subarray(3, 3 + set.length), 70_000));
  });

  it("take 2 bytes a user at most, and far less where users follow each other", () => {
    const million = packNumbers(Array.from({ length: 1_000_000 }, (_, n) => n + 1));
    assert.ok(million.length < 135_000, String(million.length));
    assert.equal(countNumbers(million), 1_000_000);
    const spread = packNumbers(Array.from({ length: 100_000 }, (_, n) => n * 20_000));
    assert.ok(spread.length < 100_000 * 2 + 32_768 * 8 + 8);
  });

  it("refuse what is no number, and bytes that are no set", () => {
    for (const wrong of [-1, 1.5, MAX + 1, Number.NaN]) assert.throws(() => packNumbers([wrong]), RangeError);
    assert.ok(isUserNumbers(NO_NUMBERS));
    for (const wrong of [[], [1, 0, 0, 0], [...packNumbers([1, 2]), 0]])
      assert.ok(!isUserNumbers(Uint8Array.from(wrong)));
  });
});
