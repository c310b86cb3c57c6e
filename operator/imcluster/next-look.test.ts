// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { NO_STREAK, nextLookMs, streakAfter } from "./next-look.ts";

type Result = Parameters<typeof nextLookMs>[1];
const quiet: Result = { hasProgress: false, errors: [], waitMs: undefined };
const failing: Result = { ...quiet, errors: ["no"] };
const busy: Result = { ...quiet, hasProgress: true };

/** When the passes after these are. */
function looks(results: readonly Result[]): number[] {
  let streak = NO_STREAK;
  return results.map((result) => {
    streak = streakAfter(streak, result);
    return nextLookMs(streak, result);
  });
}

const times = (count: number, result: Result) => Array.from({ length: count }, () => result);

describe("the next look at a cluster", () => {
  it("is after ten seconds when there is nothing to do, sooner when something is waited for", () => {
    assert.deepEqual(looks([quiet, { ...quiet, waitMs: 500 }, { ...quiet, waitMs: 60_000 }]), [10_000, 500, 10_000]);
  });

  it("is at once after writes, and later and later when they never end", () => {
    const after = looks(times(40, busy));
    assert.deepEqual(after.slice(0, 24), [...Array(20).fill(0), 200, 400, 800, 1_600]);
    assert.equal(after.at(-1), 30_000);
    assert.deepEqual(looks([...times(21, busy), quiet, busy]).slice(-3), [200, 10_000, 0]);
  });

  it("comes later each time that something fails again, but as often as ever", () => {
    assert.deepEqual(looks(times(7, failing)), [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
    assert.deepEqual(looks([failing, failing, quiet, failing]), [500, 1_000, 10_000, 500]);
  });

  it("is not late for those that drain because of something that fails", () => {
    assert.deepEqual(
      looks(times(6, { ...failing, waitMs: 500 })),
      times(6, quiet).map(() => 500),
    );
  });

  it("is when the API server says", () => {
    assert.deepEqual(
      looks([
        { ...busy, pauseMs: 3_000 },
        { ...failing, pauseMs: 700 },
      ]),
      [3_000, 700],
    );
  });
});
