// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { seriesValue, workPerMessage } from "./work-counts.ts";

describe("work counts", () => {
  it("reads one series of a page", () => {
    const page = '# HELP a b\na_total 5\na{direction="in"} 7\na{direction="out"} 9\n';
    assert.deepEqual(
      ["a_total", 'a{direction="out"}', "a", "b"].map((series) => seriesValue(page, series)),
      [5, 9, 0, 0],
    );
  });

  it("divides what was done meanwhile by the messages", () => {
    assert.deepEqual(workPerMessage({ writes: 10, commits: 1 }, { writes: 25, commits: 2, new: 3 }, 10), {
      writes: 1.5,
      commits: 0.1,
      new: 0.3,
    });
    assert.deepEqual(workPerMessage({}, { writes: 2 }, 0), { writes: 2 });
  });
});
