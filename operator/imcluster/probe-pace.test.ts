// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ProbePace } from "./probe-pace.ts";

describe("entries are asked how they are", () => {
  it("every five seconds, and more seldom when there are very many", () => {
    const pace = new ProbePace();
    assert.deepEqual([pace.everyMs, pace.newsMs], [5_000, 15_000]);
    pace.resize("a", 100);
    assert.equal(pace.everyMs, 5_000);
    for (let cluster = 0; cluster < 200; cluster++) pace.resize(`c${cluster}`, 5);
    assert.equal(Math.round(pace.everyMs / 1000), 33);
  });

  it("by how many there are now", () => {
    const pace = new ProbePace();
    pace.resize("a", 330);
    pace.resize("a", 990);
    pace.resize("b", 330);
    assert.equal(pace.everyMs, 40_000);
    pace.resize("a", 0);
    pace.resize("a", 0);
    assert.equal(pace.everyMs, 10_000);
    pace.resize("nobody", 0);
    pace.resize("b", 0);
    assert.equal(pace.everyMs, 5_000);
  });
});
