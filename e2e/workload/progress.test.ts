// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Progress } from "./progress.ts";

describe("Progress", () => {
  it("tells when a share is done, once and in order", async () => {
    const progress = new Progress(10);
    const seen: number[] = [];
    const all = Promise.all([0, 0.25, 0.5, 1].map((share) => progress.reached(share).then(() => seen.push(share))));
    for (let i = 0; i < 10; i++) {
      progress.advance();
      await Promise.resolve();
    }
    await all;
    assert.deepEqual(seen, [0, 0.25, 0.5, 1]);
    await progress.reached(1);
    assert.equal(progress.done, 10);
  });
});
