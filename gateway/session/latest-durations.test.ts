// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LatestDurations } from "./latest-durations.ts";

describe("LatestDurations", () => {
  it("keeps the latest, and begins anew", () => {
    const latest = new LatestDurations(100);
    assert.deepEqual([latest.count, latest.p99], [0, 0]);
    for (let ms = 1; ms <= 200; ms++) latest.note(ms + 0.4);
    assert.deepEqual([latest.count, latest.p99], [100, 199]);
    latest.clear();
    latest.note(5);
    assert.deepEqual([latest.count, latest.p99], [1, 5]);
  });
});
