// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { LatencyHistogram } from "./latency-histogram.ts";

describe("LatencyHistogram", () => {
  it("is 0 when empty", () => {
    assert.equal(new LatencyHistogram().quantileMs(0.5), 0);
  });

  it("is within 5 % above the true quantile", () => {
    const values = fc.array(fc.double({ min: 0.01, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(values, fc.constantFrom(0.5, 0.9, 0.99, 1), (ms, quantile) => {
        const histogram = new LatencyHistogram();
        for (const value of ms) histogram.add(value);
        const sorted = [...ms].sort((a, b) => a - b);
        const truth = sorted[Math.ceil(sorted.length * quantile) - 1] ?? 0;
        const found = histogram.quantileMs(quantile);
        assert.ok(found >= truth - 0.01 && found <= truth * 1.05 + 0.01, `${found} for ${truth}`);
      }),
    );
  });
});
