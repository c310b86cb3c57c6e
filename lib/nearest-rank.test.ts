// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { nearestRank } from "./nearest-rank.ts";

describe("nearestRank", () => {
  const hundred = Array.from({ length: 100 }, (_, at) => at + 1);

  it("is a value that there is", () => {
    assert.deepEqual(
      [0.5, 0.99, 0.991, 1].map((ratio) => nearestRank(hundred, ratio)),
      [50, 99, 100, 100],
    );
    assert.equal(nearestRank([7], 0.01), 7);
    assert.equal(nearestRank(new Float32Array([1, 2, 3]), 0.5), 2);
  });

  it("of nothing is 0", () => assert.equal(nearestRank([], 0.99), 0));
});
