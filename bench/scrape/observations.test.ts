// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { microsOf, nanosByKind, perMessage } from "./observations.ts";

describe("observations of metrics", () => {
  const before = { counter: 10, gauge: 1, histogram: 0, plainHistogram: 100 };
  const after = { counter: 30, gauge: 1, histogram: 5, plainHistogram: 400 };

  it("are counted per message", () => {
    assert.deepEqual(perMessage(before, after, 10), { counter: 2, gauge: 0, histogram: 0.5, plainHistogram: 30 });
    assert.deepEqual(perMessage(before, before, 0), { counter: 0, gauge: 0, histogram: 0, plainHistogram: 0 });
  });

  it("cost what each of their kind costs", () => {
    const nanos = { counter: 100, gauge: 50, histogram: 1000, plainHistogram: 10 };
    assert.equal(microsOf(perMessage(before, after, 10), nanos), (2 * 100 + 0.5 * 1000 + 30 * 10) / 1000);
  });

  it("of every kind take some time", () => {
    assert.ok(Object.values(nanosByKind()).every((nanos) => nanos > 0 && nanos < 1_000_000));
  });
});
