// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { judge } from "./ride.ts";

describe("the judge of a ride", () => {
  const sent = ["m0", "m1", "m2", "m3"];

  it("is content with everything once and in order", () => {
    assert.deepEqual(judge(sent, sent), { lost: 0, duplicated: 0, reordered: 0 });
  });

  it("counts what is lost, what comes twice, and what comes behind a later one", () => {
    assert.deepEqual(judge(sent, ["m0", "m2", "m3"]), { lost: 1, duplicated: 0, reordered: 0 });
    assert.deepEqual(judge(sent, ["m0", "m1", "m1", "m2", "m3", "m0"]), { lost: 0, duplicated: 2, reordered: 0 });
    assert.deepEqual(judge(sent, ["m1", "m0", "m3", "m2"]), { lost: 0, duplicated: 0, reordered: 2 });
    assert.deepEqual(judge(sent, []), { lost: 4, duplicated: 0, reordered: 0 });
  });
});
