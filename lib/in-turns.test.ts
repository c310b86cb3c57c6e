// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inTurns } from "./in-turns.ts";

describe("inTurns", () => {
  it("gives results by index, and runs no more than so many at the same time", async () => {
    let running = 0;
    let most = 0;
    const results = await inTurns([5, 1, 4, 2, 3], 2, async (item) => {
      most = Math.max(most, ++running);
      for (let turns = 0; turns < item; turns++) await Promise.resolve();
      running--;
      return item * 10;
    });
    assert.deepEqual(results, [50, 10, 40, 20, 30]);
    assert.equal(most, 2);
    assert.deepEqual(await inTurns([], 3, async () => assert.fail("nothing to do")), []);
  });

  it("ends with the first fault", async () => {
    const fault = new Error("no");
    const work = async (item: number): Promise<number> => {
      if (item === 2) throw fault;
      return item;
    };
    await assert.rejects(inTurns([1, 2, 3], 1, work), fault);
  });
});
