// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { describe, it } from "node:test";
import { epochMark, isSameEpoch } from "./epoch-mark.ts";

describe("epoch marks", () => {
  it("are small integers above 0, the same for the same text only", () => {
    const epochs = Array.from({ length: 1000 }, () => randomUUID());
    const marks = new Set(epochs.map(epochMark));
    assert.ok(marks.size > 998, "two of a thousand may meet");
    for (const mark of marks) assert.ok(Number.isInteger(mark) && mark > 0 && mark < 2 ** 31);
    assert.equal(epochMark(epochs[0] ?? ""), epochMark(epochs[0] ?? ""));
  });

  it("differ where only the end does", () => {
    const zeros = "00000000-0000-4000-8000-00000000000";
    assert.notEqual(epochMark(`${zeros}1`), epochMark(`${zeros}2`));
  });

  it("believe what is not known", () => {
    assert.deepEqual(
      [isSameEpoch(7, 7), isSameEpoch(7, 8), isSameEpoch(0, 8), isSameEpoch(7, 0), isSameEpoch(0, 0)],
      [true, false, true, true, true],
    );
  });
});
